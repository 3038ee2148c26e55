"""Recordings in tar files as WebDataset has them: `x.wav`, and its label in `x.cls`, `x.json` or `x.txt`.

    tar:FILE#OFFSET+LENGTH    one recording, with its header, as `list_tars` writes it

A recording is read by itself, from anywhere in the file. In `x.json` the label is the value of `label`.
"""

import io
import json
import os
import re
import tarfile
from typing import Any

from audex_jax.data.listing import DataError, text, tidy
from audex_jax.data.record import Listed, Record, record_of
from audex_jax.io.decode import SUFFIXES
from audex_jax.io.files import opened
from audex_jax.io.remote import fetch, is_address

PREFIX = "tar:"
NAMED = re.compile(r"tar:(?P<path>.*)#(?P<offset>\d+)\+(?P<length>\d+)", re.DOTALL)
LABELS = ("cls", "json", "txt")  # the first of these that says a label counts
MOST_LABEL, MOST_BYTES = 2**16, 2**29


def list_tars(paths: list[str]) -> Listed:
    """All recordings of some tar files, in the order in which they stand there.

    Raises:
        DataError: no tar file, a compressed one, or one that breaks off.
    """
    found = Listed([], [], [])
    for path in paths:
        labels: dict[str, dict[str, str]] = {}
        sounds: list[tuple[str, str]] = []
        try:
            with opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                size = file.seek(0, os.SEEK_END)
                for member in tar:
                    if not member.isreg() or member.issparse():
                        continue
                    if member.offset_data + member.size > size:
                        raise tarfile.ReadError("it breaks off")
                    key, _, kind = os.path.basename(member.name).partition(".")
                    key, kind = os.path.join(os.path.dirname(member.name), key), kind.lower()
                    if os.path.splitext(member.name)[1].lower() in SUFFIXES:
                        length = member.offset_data + member.size - member.offset
                        sounds.append((key, member.name))
                        found.addresses.append(f"{PREFIX}{path}#{member.offset}+{length}")
                    elif kind in LABELS and member.size <= MOST_LABEL:
                        labels.setdefault(key, {})[kind] = _label(kind, tar.extractfile(member).read())  # type: ignore
                    tar.members = []  # type: ignore[assignment]  # or it keeps them all
        except tarfile.TarError as error:
            raise DataError(f"{path}: not a readable tar file ({error}); write it again, uncompressed") from None
        for key, name in sounds:
            said = labels.get(key, {})
            found.labels.append(next((said[kind] for kind in LABELS if said.get(kind)), None))
            found.names.append(f"{os.path.basename(path)}/{text(name)}")
    return found


def read_member(address: str, sample_rate: int, channels: int = 1) -> Record:
    """The recording at an address that `list_tars` gave."""
    named = NAMED.fullmatch(address)
    if named is None:
        raise DataError(f"{address}: no recording in a tar file")
    path, offset, length = named["path"], int(named["offset"]), int(named["length"])
    if length > MOST_BYTES:
        return Record(None, f"too large, {length} bytes; cut it into pieces", {})
    try:
        with tarfile.open(fileobj=io.BytesIO(_bytes(path, offset, length)), mode="r:") as tar:
            member: Any = tar.next()
            content = tar.extractfile(member).read()  # type: ignore[union-attr]
    except (tarfile.TarError, AttributeError):
        return Record(None, "the tar file is another than when it was listed; list it again", {})
    name = text(member.name)
    return record_of(content, sample_rate, channels, {"path": name}, name)


def _bytes(path: str, offset: int, length: int) -> bytes:
    if is_address(path):
        return fetch(path, offset, offset + length)
    with opened(path) as file:
        file.seek(offset)
        return file.read(length)


def _label(kind: str, content: bytes) -> str:
    """What a file beside a recording says that it is; empty if it says nothing of the kind."""
    said = content.decode("utf-8", "replace")
    if kind == "json":
        try:
            found = json.loads(said)
        except (ValueError, RecursionError):
            return ""
        value = found.get("label") if isinstance(found, dict) else None
        said = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    said = tidy(said)
    return said if said.isprintable() else ""
