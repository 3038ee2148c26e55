"""Recordings inside Parquet files: a column of `struct{bytes, path}`, as `datasets` and this tool write it.

    parquet:FILE#ROW    one recording, as `list_embedded` writes it

A column `label` may hold text, or numbers that the metadata of `datasets` gives names to.
"""

import bisect
import collections
import functools
import itertools
import json
import os
import re
import threading
from typing import Any

from audex_jax.data.listing import DataError, text, tidy
from audex_jax.data.record import Listed, Record, record_of
from audex_jax.io.files import opened
from audex_jax.io.remote import is_address

PREFIX = "parquet:"
NAMED = re.compile(r"parquet:(?P<path>.*)#(?P<row>\d+)", re.DOTALL)
MOST_GROUP = 2**29  # bytes of a row group, two of which are in memory at once
KEPT = 2  # row groups of a file


def audio_column(schema: Any) -> str | None:
    """The column of a schema that holds recordings: `audio`, or else the only one of its kind."""
    import pyarrow.types as types

    found = [
        field.name
        for field in schema
        if types.is_struct(field.type) and any(inner.name == "bytes" and _is_bytes(inner.type) for inner in field.type)
    ]
    return "audio" if "audio" in found else found[0] if len(found) == 1 else None


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_binary(kind) or types.is_large_binary(kind)


def holds_recordings(path: str) -> bool:
    """Whether a Parquet file has recordings inside; a list of recordings has not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(path) as file, pq.ParquetFile(file) as stored:
            return audio_column(stored.schema_arrow) is not None
    except (pa.ArrowException, OSError):
        return False


def list_embedded(paths: list[str]) -> Listed:
    """All recordings of some Parquet files, row by row.

    Raises:
        DataError: no such file, or one whose row groups do not fit into memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = Listed([], [], [])
    for path in paths:
        try:
            with opened(path) as file, pq.ParquetFile(file) as stored:
                schema, about = stored.schema_arrow, stored.metadata
                if audio_column(schema) is None:
                    raise DataError(f"{path}: no column of struct{{bytes, path}}; it has {', '.join(schema.names)}")
                largest = max((about.row_group(n).total_byte_size for n in range(about.num_row_groups)), default=0)
                if largest > MOST_GROUP:
                    raise DataError(
                        f"{path}: row groups of up to {largest / 2**20:.0f} MiB, which do not fit into memory; write "
                        "it again with row_group_size=100"
                    )
                rows, digits = about.num_rows, len(str(about.num_rows))
                labels = stored.read(columns=["label"])["label"].to_pylist() if "label" in schema.names else []
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from None
        names = _class_names(schema)
        found.labels.extend(_label(value, names) for value in labels or itertools.repeat(None, rows))
        found.addresses.extend(f"{PREFIX}{path}#{row}" for row in range(rows))
        found.names.extend(f"{text(os.path.basename(path))}#{row:0{digits}}" for row in range(rows))
    return found


def read_row(address: str, sample_rate: int, channels: int = 1) -> Record:
    """The recording at an address that `list_embedded` gave."""
    named = NAMED.fullmatch(address)
    if named is None:
        raise DataError(f"{address}: no recording in a Parquet file")
    path = named["path"]
    written = 0 if is_address(path) else os.stat(path).st_mtime_ns
    stored = _stored(path, written).row(int(named["row"]))
    known = {"path": stored["path"]} if stored.get("path") else {}
    if stored["bytes"] is None:
        return Record(None, "the row holds no bytes, only a path; write the data set with its audio inside", known)
    return record_of(stored["bytes"], sample_rate, channels, known, known.get("path", address))


class Stored:
    """The recordings of one file, read by row groups; for any number of threads."""

    def __init__(self, path: str):
        import pyarrow.parquet as pq

        self.path = path
        with opened(path) as file, pq.ParquetFile(file) as stored:
            self.about, self.column = stored.metadata, audio_column(stored.schema_arrow)
        counts = (self.about.row_group(n).num_rows for n in range(self.about.num_row_groups))
        self.starts = list(itertools.accumulate(counts, initial=0))
        self.lock, self.groups = threading.Lock(), collections.OrderedDict()

    def row(self, number: int) -> dict[str, Any]:
        import pyarrow.parquet as pq

        group = bisect.bisect_right(self.starts, number) - 1
        with self.lock:
            if group not in self.groups:
                while len(self.groups) >= KEPT:
                    self.groups.popitem(last=False)
                with opened(self.path) as file, pq.ParquetFile(file, metadata=self.about) as stored:
                    self.groups[group] = stored.read_row_group(group, [self.column]).column(0)
            rows = self.groups[group]
        return rows[number - self.starts[group]].as_py() or {"bytes": None}


@functools.lru_cache(maxsize=2)
def _stored(path: str, written: int) -> Stored:
    return Stored(path)


def _class_names(schema: Any) -> list[str]:
    """What the numbers of the column `label` stand for, as `datasets` writes it; empty if nothing says so."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features["label"]["names"]]
    except (KeyError, TypeError, ValueError):
        return []


def _label(value: Any, names: list[str]) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and names:
        return names[value] if 0 <= value < len(names) else None
    return (tidy(str(value)) or None) if isinstance(value, str | int) else None
