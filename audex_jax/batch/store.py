"""The folder of results: what is there is complete, and stays so whatever happens.

    run.json                     what made the results: settings, weights, list of clips. Another run is refused
    manifest.parquet             the list of clips; as DATA it stands for the same clips
    parts/part-000017.parquet    the results of shard 17
    rejects/part-000017.parquet  clips of shard 17 that could not be explained, and why; only if there are any

A part is written under a temporary name, flushed to the disk and renamed; it is the last thing of its shard. So a
shard is done when its part is there and whole: `sealed` notices every bit that changed, and each part says of which
run and shard it is. A part that is damaged is done again; one of another run is refused. A writer holds a lock on its
temporary file: one without was left by a process that was killed, and is removed.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audex_jax.batch.manifest import Manifest, read_manifest
from audex_jax.batch.schema import VERSION
from audex_jax.batch.sealed import read_sealed, write_sealed
from audex_jax.core.errors import AudexError, listing
from audex_jax.io import atomic
from audex_jax.io.atomic import replacing
from audex_jax.io.files import json_object, json_text
from audex_jax.io.marks import MARK

FORMAT = "audex-batch"
LOG = logging.getLogger(__name__)


class StoreError(AudexError):
    """A folder of results that cannot be used; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of results.

    Attributes:
        root: the folder.
        run: what decides the results; the content of `run.json` but for `about`.
    """

    root: pathlib.Path
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

    def part(self, shard: int) -> pathlib.Path:
        return self.root / "parts" / f"part-{shard:06d}.parquet"

    def rejects(self, shard: int) -> pathlib.Path:
        return self.root / "rejects" / f"part-{shard:06d}.parquet"

    def counts(self, shard: int, whole: bool = True) -> dict[str, int] | None:
        """Clips, rows and rejects of a finished shard; None if it is not finished, or what is there is damaged.

        Args:
            shard: its number.
            whole: read all of it, and so notice damage; else only its footer.
        """
        part = self._about(self.part(shard), shard, whole)
        if part is None:
            if whole and self.part(shard).exists():
                LOG.warning("%s: damaged, or the copy of another; it does not count", self.part(shard))
            return None
        if part["rejects"]:
            rejects = self._about(self.rejects(shard), shard, whole)
            if rejects is None or rejects["rows"] != part["rejects"]:
                return None
        return {name: part[name] for name in ("clips", "rows", "rejects")}

    def _about(self, path: pathlib.Path, shard: int | None, whole: bool) -> dict[str, Any] | None:
        """What a file of this run says of itself; None if it is not there, damaged, or of another run or shard."""
        try:
            metadata = read_sealed(path).metadata if whole else pq.read_metadata(path)
            about = json.loads((metadata.metadata or {})[b"audex"])
            mine = about["fingerprint"] == self.fingerprint and shard in (None, about["shard"])
            return about | {"rows": metadata.num_rows} if mine else None
        except (AudexError, OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None

    def foreign(self) -> list[pathlib.Path]:
        """Files among the results that are not of this run."""
        names = {self.part(shard).name for shard in range(self.shards)}
        found = []
        for folder in (self.root / "parts", self.root / "rejects"):
            for path in sorted(folder.iterdir()):
                if path.name.startswith("."):
                    continue
                if path.name not in names or (self._about(path, None, False) is None and _is_whole(path)):
                    found.append(path)
        return found

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
                write_sealed(self.rejects(shard), told(rejects))
            else:
                self.rejects(shard).unlink(missing_ok=True)
            write_sealed(self.part(shard), told(results))
        except OSError as error:
            raise StoreError(
                f"{self.root}: writing shard {shard} failed ({error.strerror or error}); what was finished before is "
                "kept: make room or access, and give the same command again"
            ) from None

    def sweep(self) -> None:
        """Remove what killed writers left behind."""
        atomic.sweep((self.root, self.root / "parts", self.root / "rejects"))

    @contextlib.contextmanager
    def held(self, index: int, count: int) -> Iterator[None]:
        """Be the only process that takes share `index` of `count` of the shards.

        Raises:
            StoreError: another process does.
        """
        path = self.root / f".lock-{index}-of-{count}"
        try:
            handle = atomic.locked(path)
        except OSError as error:
            raise _unwritable(self.root, error) from None
        if handle is None:
            owner = ""
            with contextlib.suppress(OSError):  # it may have ended since
                owner = path.read_text(encoding="utf-8", errors="replace")
            raise StoreError(f"{self.root}: {owner or 'another process'} is at work on this; let it finish")
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(handle)


def open_store(root: str | os.PathLike, run: dict, manifest: Manifest, about: dict) -> Store:
    """The folder of results of a run: a new one, or one that an equal run began.

    Args:
        root: the folder.
        run: what decides the results.
        manifest: the clips; its fingerprint is in `run`.
        about: what is worth knowing and decides nothing: versions, command.

    Raises:
        StoreError: not writable; it holds other things, or the results of another run.
    """
    root = pathlib.Path(root)
    store = Store(root, {"format": FORMAT, "version": VERSION} | run)
    try:
        if not (root / "run.json").exists():
            names = {path.name for path in root.iterdir() if path.name[0] != "."} if root.exists() else set()
            foreign = names - {"parts", "rejects", "manifest.parquet", "run.json"}  # another may be just as far
            if foreign:
                raise StoreError(
                    f"{root}: the folder holds other things ({min(foreign)}); choose an empty or a new one"
                )
            for folder in ("parts", "rejects"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            content = json_text(store.run | {"about": about}, indent=2, sort_keys=True) + "\n"
            with replacing(root / "run.json", durable=True, unless_exists=True) as file:
                file.write_text(content, encoding="utf-8")
        stored = read_run(root)
        if stored != store.run:
            raise StoreError(f"{root}: it holds the results of another run; choose another folder, or run as then:\n"
                             + differences(root, stored, store.run, manifest))  # fmt: skip
        foreign = store.foreign()
        if foreign:
            names = listing([path.relative_to(root) for path in foreign], 4)
            raise StoreError(
                f"{root}: it holds what is not of this run ({names}); move that away, or choose another --out"
            )
        if not (root / "manifest.parquet").exists():
            write_sealed(root / "manifest.parquet", manifest.table())
    except OSError as error:
        raise _unwritable(root, error) from None
    return store


def load_store(root: str | os.PathLike) -> Store:
    """The folder of results of a job that was begun, to look at.

    Raises:
        StoreError: there is none.
    """
    root = pathlib.Path(root)
    if not (root / "run.json").exists():
        raise StoreError(f"{root}: no results of `audex batch` there (no run.json); check the path")
    return Store(root, read_run(root))


def read_run(root: pathlib.Path) -> dict:
    """What decided the results in a folder."""
    try:
        run = json_object(root / "run.json")
        if run["format"] != FORMAT or run["version"] != VERSION:
            raise StoreError(f"{root}: results of another version; choose another folder")
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{root / 'run.json'}: not readable ({error}); choose another folder") from None
    return {key: value for key, value in run.items() if key != "about"}


def differences(root: pathlib.Path, there: dict, here: dict, manifest: Manifest) -> str:
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
            words = read_manifest(root / "manifest.parquet").difference(manifest)
        except AudexError:
            words = "they differ"
        lines.append(f"  clips: {words}; {root / 'manifest.parquet'} as DATA stands for those of then")
    return "\n".join(lines)


def _is_whole(path: pathlib.Path) -> bool:
    try:
        return read_sealed(path) is not None
    except AudexError:
        return False


def _unwritable(root: pathlib.Path, error: OSError) -> StoreError:
    return StoreError(f"{root}: cannot write there ({error.strerror or error}); choose another folder")
