"""Files of others are read here: regular ones only, none larger than expected, JSON without surprises.

A pipe or a device that is called like a file would block, or never end. Addresses of object stores (`io.remote`) are
read like paths.
"""

import hashlib
import json
import os
import stat
from typing import Any, BinaryIO

from audex_jax.core.errors import AudexError
from audex_jax.io import remote

MOST_JSON = 2**26  # bytes


class FileError(AudexError):
    """A file that is not there, no regular file, too large or not readable; the message names it."""


def is_regular(path: str | os.PathLike) -> bool:
    """Whether there is a regular file, or a link to one; pipes, devices and folders are none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def opened(path: str | os.PathLike, most: int | None = None) -> BinaryIO:
    """Open a regular file of at most `most` bytes for reading; never waits for another process.

    Raises:
        FileError: there is none, or it is something else, too large, or not readable.
        StoreError: a store cannot be read.
    """
    file = _on_store(path) if isinstance(path, str) and remote.is_address(path) else _on_disk(path)
    size = file.seek(0, os.SEEK_END)
    if most is not None and size > most:
        file.close()
        raise FileError(f"{path}: {size} bytes, more than the {most} that such a file may have")
    file.seek(0)
    return file


def _on_disk(path: str | os.PathLike) -> BinaryIO:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise FileError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path}: cannot be read ({reason}); make it readable") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise FileError(f"{path}: not a regular file but {kind}; give a file")
    return open(handle, "rb")


def _on_store(address: str) -> Any:
    try:
        return remote.Remote(address)
    except FileNotFoundError:
        raise FileError(f"{address}: no such file; check the address") from None
    except IsADirectoryError:
        raise FileError(f"{address}: not a regular file but a folder; give a file") from None


def content(path: str | os.PathLike, most: int | None = None, last: int = 0) -> bytes:
    """All bytes of a regular file, or at most its `last` ones; see `opened`."""
    with opened(path, most) as file:
        try:
            if last:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return file.read()
        except OSError as error:
            raise FileError(f"{path}: cannot be read ({error.strerror}); copy it again") from None


def sha256(path: str | os.PathLike) -> str:
    """The hash of a regular file, in hexadecimal."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]


def json_text(value: Any, **how: Any) -> str:
    """A value as JSON; keywords are those of `json.dumps`.

    Raises:
        FileError: it holds a number that is not finite, which JSON does not know.
    """
    try:
        return json.dumps(value, allow_nan=False, **how)
    except ValueError as error:
        raise FileError(f"a result holds a number that is not finite, and is not written ({error})") from None


def json_object(path: str | os.PathLike) -> dict[str, Any]:
    """The object that a JSON file holds: UTF-8, no key twice, no NaN or infinity.

    Raises:
        FileError: as for `opened`, or not such a file.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON")

    raw = content(path, MOST_JSON)
    try:
        found = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=constant)
    except RecursionError:
        raise FileError(f"{path}: not valid JSON (nested too deep); fetch or write it again") from None
    except ValueError as error:  # UnicodeDecodeError, and integers of more digits than Python reads, are such
        raise FileError(f"{path}: not valid JSON ({error}); fetch or write it again") from None
    if not isinstance(found, dict):
        raise FileError(f"{path}: it holds a {type(found).__name__}, not a JSON object")
    return found
