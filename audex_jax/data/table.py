"""Lists of recordings: CSV, Parquet or plain text, the one reader for training and batches.

CSV may have commas, semicolons or tabs between its columns, and be in UTF-8, with a byte order mark or without, or in
UTF-16 with one, as spreadsheets write it. Bytes of paths that are not UTF-8 stay as they are.
"""

import codecs
import csv
import dataclasses
import io
import os
from collections.abc import Sequence
from typing import Any

from audex_jax.core.errors import AudexError, shown
from audex_jax.data.listing import DataError
from audex_jax.io.files import content, opened

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of text of equal length; empty text where a cell is empty.

    Attributes:
        columns: name -> cells.
        lines: where each row stands in the file, for messages; in Parquet its number, from 1.
    """

    columns: dict[str, list[str]]
    lines: Sequence[int]


def read_table(path: str | os.PathLike, wanted: Sequence[str]) -> Table:
    """Read a table at a path or address; of a Parquet file the `wanted` columns alone. Text has a column `path` alone.

    Raises:
        DataError: it cannot be read, or a cell holds neither text nor a whole number.
        FileError: no such file, or not a regular one.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".parquet":
        return _parquet(path, wanted)
    if suffix in (".csv", ".tsv"):
        try:
            return _csv(path, _text(path))
        except csv.Error as error:
            raise DataError(f"{path}: not a readable list ({error}); save it as CSV in UTF-8") from None
    rows = [(n, line.removesuffix("\r")) for n, line in enumerate(_text(path).split("\n"), start=1) if line.strip()]
    return Table({"path": [line for _, line in rows]}, [n for n, _ in rows])


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file that are not empty, without blanks around them.

    Raises:
        DataError, FileError: as for `read_table`.
    """
    return [line.strip() for line in _text(path).split("\n") if line.strip()]


def _text(path: str | os.PathLike) -> str:
    """A text file in UTF-8 or UTF-16; bytes that are not UTF-8 stay as they are."""
    raw = content(path)
    try:
        text = raw.decode("utf-16") if raw[:2] in UTF16 else ""
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a readable list ({error}); save it in UTF-8") from None
    text = text or raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise DataError(f"{path}: not a readable list (it holds NUL characters); save it as UTF-8")
    return text


def _csv(path: str | os.PathLike, decoded: str) -> Table:
    first = decoded.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in first), ",")
    reader = csv.reader(io.StringIO(decoded, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows, lines = [], []
    for row in reader:
        if header is None:
            header = [name.strip() for name in row]
            if len(set(header)) < len(header):
                raise DataError(f"{path}: two columns of its first row have one name; rename one")
        elif row:
            if len(row) != len(header):
                raise DataError(f"{path}: row {reader.line_num} has not the {len(header)} columns of the first row")
            rows.append(row)
            lines.append(reader.line_num)
    return Table({name: [row[i] for row in rows] for i, name in enumerate(header or ())}, lines)


def _parquet(path: str | os.PathLike, wanted: Sequence[str]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            with pq.ParquetFile(file) as stored:
                if stored.metadata.num_rows > size:  # paths differ, so that each takes a byte at least
                    raise DataError(f"{path}: {stored.metadata.num_rows} rows in {size} bytes; no list of recordings")
                names = [name for name in stored.schema_arrow.names if name in wanted]
                if len(set(names)) < len(names):
                    raise DataError(f"{path}: two columns have one name, {', '.join(names)}; rename one")
                table = stored.read(columns=names)
                columns = {name: [_cell(path, name, value) for value in table[name].to_pylist()] for name in names}
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, AudexError):
            raise
        raise DataError(f"{path}: not a readable list ({error}); write it again") from None
    return Table(columns, range(1, table.num_rows + 1))


def _cell(path: str | os.PathLike, column: str, value: Any) -> str:
    """A cell as text: whole numbers and truth values are labels, too."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = os.fsdecode(value)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int):
        raise DataError(f"{path}: column {column} holds {shown(value, 40)}; it has to hold text")
    if "\0" in (found := str(value)):
        raise DataError(f"{path}: column {column} holds a NUL character; write it again")
    return found
