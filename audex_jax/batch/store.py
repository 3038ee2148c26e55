"""The folder of results: what is there is complete, and stays so whatever happens.

    run.json                     what made the results: settings, weights, list of clips. Another run is refused
    manifest.parquet             the list of clips; as DATA it stands for the same clips
    parts/part-000017.parquet    the results of shard 17
    rejects/part-000017.parquet  clips of shard 17 that could not be explained, and why; only if there are any

A part is written under a temporary name, flushed to the disk and renamed; it is the last thing of its shard. So a
shard is done when its part is there. A writer holds a lock on its temporary file: one without was left by a process
that was killed, and is removed.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audex_jax.batch.manifest import Manifest, read_manifest
from audex_jax.batch.schema import VERSION
from audex_jax.core.errors import AudexError
from audex_jax.io import atomic
from audex_jax.io.atomic import replacing
from audex_jax.io.files import json_text

FORMAT = "audex-batch"
ROW_GROUP = 64  # rows; small, since rows with audio are large


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

    def counts(self, shard: int) -> dict[str, int] | None:
        """Clips, rows and rejects of a finished shard; None if it is not finished or its part is not of this run."""
        try:
            metadata = pq.read_metadata(self.part(shard))
            about = json.loads((metadata.metadata or {})[b"audex"])
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None
        mine = about.get("fingerprint") == self.fingerprint
        return {"clips": about["clips"], "rows": metadata.num_rows, "rejects": about["rejects"]} if mine else None

    def commit(self, shard: int, clips: int, results: pa.Table, rejects: pa.Table) -> None:
        """Write the results of a shard: its rejects, then its part.

        Raises:
            StoreError: the folder cannot be written; the shard is as before.
        """
        about = {"version": VERSION, "shard": shard, "clips": clips, "rejects": len(rejects)}
        about |= {"fingerprint": self.fingerprint}
        metadata = (results.schema.metadata or {}) | {b"audex": json_text(about).encode()}
        try:
            if len(rejects):
                write_table(self.rejects(shard), rejects)
            else:
                self.rejects(shard).unlink(missing_ok=True)
            write_table(self.part(shard), results.replace_schema_metadata(metadata))
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
                owner = path.read_text()
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
        if not (root / "manifest.parquet").exists():
            write_table(root / "manifest.parquet", manifest.table())
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
        run = json.loads((root / "run.json").read_text(encoding="utf-8"))
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


def write_table(path: pathlib.Path, table: pa.Table) -> None:
    """Write a Parquet file, whole or not at all, and not lost when the power fails."""
    with replacing(path, durable=True) as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd")


def _unwritable(root: pathlib.Path, error: OSError) -> StoreError:
    return StoreError(f"{root}: cannot write there ({error.strerror or error}); choose another folder")
