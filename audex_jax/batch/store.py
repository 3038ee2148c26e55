"""The folder of results: what is there is complete, and stays so whatever happens.

    run.json                     what made the results: settings, weights, list of clips. Another run is refused
    manifest.parquet             the list of clips; as DATA it stands for the same clips
    parts/part-000017.parquet    the results of shard 17
    rejects/part-000017.parquet  clips of shard 17 that could not be explained, and why; only if there are any

It is a folder of the disk or an address in an object store, see `io.places`; a file is there as a whole or not at all.
A part is the last thing of its shard. So a shard is done when its part is there and whole: `sealed` notices every bit
that changed, and each part says of which run and shard it is. A part that is damaged is done again; one of another run
is refused. Whoever does a shard twice writes equal content.
"""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import pyarrow as pa

from audex_jax.batch.manifest import Manifest, read_manifest
from audex_jax.batch.schema import VERSION
from audex_jax.batch.sealed import footer_length, read_footer, sealed, unsealed
from audex_jax.core.errors import AudexError, listing
from audex_jax.io.files import FileError, json_object, json_text
from audex_jax.io.marks import MARK
from audex_jax.io.places import Place, place_of, unwritable
from audex_jax.io.remote import StoreError as StoreError

FORMAT = "audex-batch"
LIST = "manifest.parquet"
FOLDERS = ("parts", "rejects")
FOOTER = 2**16  # bytes at the end of a part in which its footer is looked for
AT_ONCE = 16  # files that are looked at together: a store answers late, and to many at once
LOG = logging.getLogger(__name__)
One = TypeVar("One")
Other = TypeVar("Other")


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of results.

    Attributes:
        place: where it is.
        run: what decides the results; the content of `run.json` but for `about`.
    """

    place: Place
    run: dict

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json_text(self.run, sort_keys=True).encode()).hexdigest()

    @property
    def shard_clips(self) -> int:
        return self.run["shard_clips"]

    @property
    def shards(self) -> int:
        return -(-self.run["manifest"]["clips"] // self.shard_clips)

    def part(self, shard: int) -> str:
        """Name of a shard's part in the place."""
        return f"parts/part-{shard:06d}.parquet"

    def rejects(self, shard: int) -> str:
        return f"rejects/part-{shard:06d}.parquet"

    def counts(self, shard: int, whole: bool = True) -> dict[str, int] | None:
        """Clips, rows and rejects of a finished shard; None if it is not finished, or what is there is damaged.

        Args:
            shard: its number.
            whole: read all of it, and so notice damage; else only its footer.
        """
        part = self._about(self.part(shard), shard, whole)
        if part is None:
            return None
        if part["rejects"]:
            rejects = self._about(self.rejects(shard), shard, whole)
            if rejects is None or rejects["rows"] != part["rejects"]:
                return None
        return {name: part[name] for name in ("clips", "rows", "rejects")}

    def _about(self, name: str, shard: int | None, whole: bool) -> dict[str, Any] | None:
        """What a file of this run says of itself; None if it is not there, damaged, or of another run or shard."""
        try:
            data = self.place.read(name, last=0 if whole else FOOTER)
            if not whole and footer_length(data) > len(data):
                data = self.place.read(name)
        except (FileError, OSError):
            return None
        try:
            metadata = (unsealed if whole else read_footer)(data, name).metadata
            about = json.loads((metadata.metadata or {})[b"audex"])
            if about["fingerprint"] == self.fingerprint and shard in (None, about["shard"]):
                return about | {"rows": metadata.num_rows}
        except (AudexError, OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            pass
        if whole:
            LOG.warning("%s: damaged, or the copy of another; it does not count", self.place.address(name))
        return None

    def foreign(self) -> list[str]:
        """Names of files among the results that are not of this run."""
        known = {self.part(shard) for shard in range(self.shards)} | {self.rejects(s) for s in range(self.shards)}
        found = [f"{folder}/{name}" for folder in FOLDERS for name in self.place.names(folder)]

        def is_foreign(name: str) -> bool:
            return name not in known or (self._about(name, None, False) is None and self._is_whole(name))

        return [name for name, foreign in zip(found, together(is_foreign, found), strict=True) if foreign]

    def _is_whole(self, name: str) -> bool:
        try:
            return unsealed(self.place.read(name), name) is not None
        except AudexError:
            return False

    def commit(self, shard: int, clips: int, results: pa.Table, rejects: pa.Table) -> None:
        """Write the results of a shard: its rejects, then its part.

        Raises:
            StoreError: the folder cannot be written; the shard is as before.
        """
        about = {"made_by": MARK, "version": VERSION, "shard": shard, "clips": clips, "rejects": len(rejects)}
        about |= {"fingerprint": self.fingerprint}

        def told(table: pa.Table) -> pa.Table:
            return table.replace_schema_metadata((table.schema.metadata or {}) | {b"audex": json_text(about).encode()})

        try:
            if len(rejects):
                self.place.write(self.rejects(shard), sealed(told(rejects)))
            else:
                self.place.remove(self.rejects(shard))
            self.place.write(self.part(shard), sealed(told(results)))
        except (OSError, StoreError) as error:
            raise StoreError(
                f"{self.place}: writing shard {shard} failed ({getattr(error, 'strerror', None) or error}); what was "
                "finished before is kept: make room or access, and give the same command again"
            ) from None

    def sweep(self) -> None:
        """Remove what killed writers left behind."""
        self.place.sweep(("", *FOLDERS))

    def held(self, index: int, count: int) -> AbstractContextManager[None]:
        """Be the only process that takes share `index` of `count` of the shards, where the place has locks.

        Raises:
            StoreError: another process does.
        """
        return self.place.held(f".lock-{index}-of-{count}")


def together(call: Callable[[One], Other], items: Iterable[One]) -> list[Other]:
    """`call` of every item, in order, several at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, items))


def open_store(root: str | os.PathLike, run: dict, manifest: Manifest, about: dict) -> Store:
    """The folder of results of a run: a new one, or one that an equal run began.

    Args:
        root: the folder, or an address in an object store.
        run: what decides the results.
        manifest: the clips; its fingerprint is in `run`.
        about: what is worth knowing and decides nothing: versions, command.

    Raises:
        StoreError: not writable; it holds other things, or the results of another run.
    """
    place = place_of(root)
    store = Store(place, {"format": FORMAT, "version": VERSION} | run)
    try:
        names = set(place.names())
        if "run.json" not in names:
            foreign = names - {*FOLDERS, LIST, "run.json"}  # another may be just as far
            if foreign:
                raise StoreError(
                    f"{place}: the folder holds other things ({min(foreign)}); choose an empty or a new one"
                )
            place.make(FOLDERS)
            content = json_text(store.run | {"about": about}, indent=2, sort_keys=True) + "\n"
            place.write("run.json", content.encode(), unless_exists=True)
        stored = read_run(place)
        if stored != store.run:
            raise StoreError(f"{place}: it holds the results of another run; choose another folder, or run as then:\n"
                             + differences(place, stored, store.run, manifest))  # fmt: skip
        foreign = store.foreign()
        if foreign:
            raise StoreError(
                f"{place}: it holds what is not of this run ({listing(foreign, 4)}); move that away, or choose "
                "another --out"
            )
        if LIST not in names:
            place.write(LIST, sealed(manifest.table()))
    except OSError as error:
        raise unwritable(place, error) from None
    return store


def load_store(root: str | os.PathLike) -> Store:
    """The folder of results of a job that was begun, to look at.

    Raises:
        StoreError: there is none.
    """
    place = place_of(root)
    try:
        begun = "run.json" in place.names()
    except OSError:
        begun = False
    if not begun:
        raise StoreError(f"{place}: no results of `audex batch` there (no run.json); check the path")
    return Store(place, read_run(place))


def read_run(place: Place) -> dict:
    """What decided the results in a place."""
    try:
        run = json_object(place.address("run.json"))
        if run["format"] != FORMAT or run["version"] != VERSION:
            raise StoreError(f"{place}: results of another version; choose another folder")
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{place.address('run.json')}: not readable ({error}); choose another folder") from None
    return {key: value for key, value in run.items() if key != "about"}


def differences(place: Place, there: dict, here: dict, manifest: Manifest) -> str:
    """One line for each setting in which two runs differ, and what became of the list of clips."""

    def flat(tree: dict, prefix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in tree.items():
            found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return found

    old, new = flat(there), flat(here)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    lines = [f"  {key}: {old.get(key)} there, {new.get(key)} now" for key in changed if key != "manifest.sha256"]
    if "manifest.sha256" in changed:
        try:
            words = read_manifest(place.address(LIST)).difference(manifest)
        except AudexError:
            words = "they differ"
        lines.append(f"  clips: {words}; {place.address(LIST)} as DATA stands for those of then")
    return "\n".join(lines)
