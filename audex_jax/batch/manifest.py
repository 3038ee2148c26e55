"""Which clips a job explains: listed once, sorted, and cut into fixed shards.

What they are listed by: see `data.sources`. Paths in a file are relative to the file's folder. Ids are unique; without
a column of their own they are the paths, and a recording that is listed again gets `#2`, `#3`, ...
"""

import dataclasses
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from audex_jax.data.listing import DataError, text
from audex_jax.data.sources import beside, list_clips


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The clips of a job, sorted by id; three columns of equal length.

    Attributes:
        ids: unique text.
        paths: where each recording is: a file, a record in one, or an address in an object store.
        labels: what each is said to be; None if the list does not say. Records say so themselves when they are read.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of ids and labels in order; the same clips elsewhere on the disk have the same one."""
        digest = hashlib.sha256()
        for clip in zip(self.ids, self.labels, strict=True):
            digest.update(repr(clip).encode())
        return digest.hexdigest()

    def shards(self, clips: int) -> int:
        """Number of shards of `clips` clips; the last may be shorter."""
        return -(-len(self) // clips)

    def shard(self, number: int, clips: int) -> range:
        """Positions of the clips of one shard."""
        return range(number * clips, min((number + 1) * clips, len(self)))

    def difference(self, other: "Manifest") -> str:
        """How `other` differs from this list, in words; empty if it does not."""
        mine, others = dict(zip(self.ids, self.labels, strict=True)), dict(zip(other.ids, other.labels, strict=True))
        relabelled = [i for i in mine.keys() & others.keys() if mine[i] != others[i]]
        parts = []
        for what, ids in (
            ("more", others.keys() - mine.keys()),
            ("fewer", mine.keys() - others.keys()),
            ("with another label", relabelled),
        ):
            if ids:
                parts.append(f"{len(ids)} clips {what} (such as {min(ids)!r})")
        return ", ".join(parts)

    def table(self) -> pa.Table:
        """The list as a table that `read_manifest` reads again; paths are bytes, as the file system has them."""
        paths = [os.fsencode(beside(os.getcwd(), path)) for path in self.paths]
        return pa.table(
            {
                "id": pa.array(self.ids, pa.string()),
                "path": pa.array(paths, pa.binary()),
                "label": pa.array(self.labels, pa.string()),
            }
        )


def read_manifest(data: str | os.PathLike) -> Manifest:
    """List the clips of an input.

    Args:
        data: a folder (label of a clip: the first folder below it), a `.csv`, `.parquet` or text file, `.tar` or
            `.parquet` files with recordings inside, or a folder of those, each a path or an address in an object
            store; or `tfds:NAME[/CONFIG][:SPLIT]`.

    Raises:
        DataError: nothing there, no clips in it, a column is missing, an id that occurs twice, or a data set that is
            not there or cannot be read.
        StoreError: an object store cannot be read.
    """
    listed = list_clips(os.fspath(data))
    return _sorted(listed.addresses, listed.ids, listed.labels, listed.names)


def _sorted(paths: list[str], ids: list[str] | None, labels: Iterable[str | None], listed: Iterable[str]) -> Manifest:
    """Sorted by id; ids that are not given are the paths as they were listed."""
    if ids is not None:
        if len(set(ids)) < len(ids):
            name = Counter(ids).most_common(1)[0][0]
            raise DataError(f"the id {name!r} is listed more than once; ids have to be unique")
        clips = sorted(zip(ids, paths, labels, strict=True), key=lambda clip: clip[0])
    else:
        clips, seen, taken = [], Counter(), set()
        for raw, path, label in sorted(zip(listed, paths, labels, strict=True), key=lambda clip: os.fsencode(clip[0])):
            name = text(raw)
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
            while unique in taken:
                seen[name] += 1
                unique = f"{name}#{seen[name]}"
            taken.add(unique)
            clips.append((unique, path, label))
        clips.sort(key=lambda clip: clip[0])
    return Manifest(*(tuple(column) for column in zip(*clips, strict=True))) if clips else Manifest((), (), ())
