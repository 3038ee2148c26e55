"""Parquet files in which no changed bit goes unnoticed, and that every program reads as they are.

A SHA-256 of the whole file stands in front of the footer, where readers of Parquet do not look: offsets are counted
from the start of the file, and the footer is found from its end. So it covers pages, footer and all, and is there as
soon as the file is. Pages have the checksums of the format besides, for other programs.
"""

import hashlib
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audex_jax.core.errors import AudexError

ROW_GROUP = 64  # rows; small, since rows with audio are large
FORM: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
TAIL, DIGEST = 8, hashlib.sha256().digest_size  # bytes of footer length and magic, and of the digest


class DamagedError(AudexError):
    """A file whose bytes are not those that were written."""


def sealed(table: pa.Table) -> bytes:
    """A table as the content of a file."""
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=ROW_GROUP, **FORM)
    data = file.getvalue()
    cut = len(data) - footer_length(data)
    return data[:cut] + hashlib.sha256(data).digest() + data[cut:]


def unsealed(data: bytes, name: str) -> pq.ParquetFile:
    """What `sealed` made, to be read; errors call it `name`.

    Raises:
        DamagedError: a bit of it has changed.
    """
    cut = len(data) - footer_length(data)
    start = cut - DIGEST
    digest = hashlib.sha256(memoryview(data)[: max(start, 0)])
    digest.update(memoryview(data)[max(cut, 0) :])
    if start < 0 or digest.digest() != data[start:cut]:
        raise DamagedError(f"{name}: damaged, its bytes are not those that were written")
    return read_footer(data, name)


def read_footer(data: bytes, name: str) -> pq.ParquetFile:
    """A file of which perhaps only the end is there, enough for its metadata.

    Raises:
        DamagedError: it is no such file.
    """
    try:
        return pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(f"{name}: not a readable table ({error})") from None


def footer_length(data: bytes) -> int:
    """Bytes of a file from its footer on, told by its last ones; more than there are if that is not told."""
    return TAIL + int.from_bytes(data[-TAIL:-4], "little") if len(data) > TAIL else len(data) + 1
