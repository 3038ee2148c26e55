"""Parquet files in which no changed bit goes unnoticed, and that every program reads as they are.

A SHA-256 of the whole file stands in front of the footer, where readers of Parquet do not look: offsets are counted
from the start of the file, and the footer is found from its end. So it covers pages, footer and all, and is there as
soon as the file is. Pages have the checksums of the format besides, for other programs.
"""

import hashlib
import io
import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audex_jax.core.errors import AudexError
from audex_jax.io.atomic import replacing
from audex_jax.io.files import content

ROW_GROUP = 64  # rows; small, since rows with audio are large
FORM: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
TAIL, DIGEST = 8, hashlib.sha256().digest_size  # bytes of footer length and magic, and of the digest


class DamagedError(AudexError):
    """A file whose bytes are not those that were written."""


def write_sealed(path: str | os.PathLike, table: pa.Table) -> None:
    """Write a table, whole or not at all, and not lost when the power fails; what is there already is replaced."""
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=ROW_GROUP, **FORM)
    data = file.getvalue()
    cut = _footer(data)
    with replacing(path, durable=True, own=True) as temporary:
        temporary.write_bytes(data[:cut] + hashlib.sha256(data).digest() + data[cut:])


def read_sealed(path: str | os.PathLike) -> pq.ParquetFile:
    """A file that `write_sealed` wrote, in memory.

    Raises:
        FileError: there is none.
        DamagedError: a bit of it has changed.
    """
    data = content(path)
    cut = _footer(data)
    start = cut - DIGEST
    digest = hashlib.sha256(memoryview(data)[: max(start, 0)])
    digest.update(memoryview(data)[cut:])
    if start < 0 or digest.digest() != data[start:cut]:
        raise DamagedError(f"{path}: damaged, its bytes are not those that were written")
    try:
        return pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"{path}: not a readable table ({error})") from None


def _footer(data: bytes) -> int:
    """Where the footer begins; below 0 if that is not told."""
    return len(data) - TAIL - int.from_bytes(data[-TAIL:-4], "little") if len(data) > TAIL else -1
