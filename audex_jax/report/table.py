"""What `audex batch` left in Parquet tables, as the report needs it; a row is a segment of a recording.

The tables hold less than the folders of `audex explain`: the explanation's sound but not the residual's, and one share
of kept elements. The report shows what there is.
"""

import io
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile

from audex_jax.batch.schema import METRIC
from audex_jax.explain.result import columns
from audex_jax.io import remote
from audex_jax.io.audio import flac_of, level_db
from audex_jax.io.files import FileError, json_object, opened
from audex_jax.report.folder import ReportClip, evidence_of, original_of
from audex_jax.report.record import ReportError, check_segment, chief

ROWS = 64  # read at once; rows with sounds are large


Table = str | os.PathLike


def parts(path: Table) -> Sequence[Table]:
    """The tables that a path or an address stands for: itself, or the finished parts in the folder of a job."""
    if isinstance(path, str) and remote.is_address(path):
        inside = [f"{path}/parts/{name}" for name in remote.names(f"{path}/parts") if name.endswith(".parquet")]
        return inside or [path]
    path = pathlib.Path(path)
    return [path] if path.is_file() else sorted((path / "parts").glob("*.parquet"))


def count(tables: Sequence[Table]) -> int:
    """Rows in the tables.

    Raises:
        ReportError: a table that is not readable.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        return sum(_rows_in(table) for table in tables)
    except (OSError, pyarrow.ArrowException) as error:
        what = f"{tables[0]}: not a readable Parquet table"
        raise ReportError(f"{what} ({error}); give one that audex batch wrote") from None


def read_clips(tables: Sequence[Table]) -> Iterator[ReportClip | ReportError]:
    """The recordings in the tables; the rows of one stand together."""
    import pyarrow

    for table in tables:
        run = _run_of(table)
        try:
            for name, rows in itertools.groupby(_rows(table), key=lambda row: row["id"]):
                try:
                    yield _clip(list(rows), run, remote.is_address(os.fspath(table)))
                except ReportError as error:
                    yield ReportError(f"{table}, {name}: {error}")
                except (OSError, pyarrow.ArrowException):
                    raise
                except Exception as error:  # whatever a table of somebody else holds: one recording is lost
                    yield ReportError(f"{table}, {name}: not a whole explanation ({type(error).__name__}: {error})")
        except (OSError, KeyError, pyarrow.ArrowException) as error:
            yield ReportError(f"{table}: damaged, or no table of audex batch ({error})")


def _rows_in(table: Table) -> int:
    import pyarrow.parquet

    with opened(table) as file:
        return pyarrow.parquet.read_metadata(file).num_rows


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    with opened(table) as file:
        for batch in pyarrow.parquet.ParquetFile(file, page_checksum_verification=True).iter_batches(ROWS):
            yield from batch.to_pylist()


def _run_of(table: Table) -> dict[str, Any]:
    """Settings and versions of the job that wrote a table, as far as its folder tells."""
    try:
        run = json_object(os.path.join(os.path.dirname(os.path.dirname(os.fspath(table))), "run.json"))
    except FileError:
        return {"model": "not told by the table", "settings": {}, "versions": {}}
    about, settings, rate = (run.get(name) for name in ("about", "settings", "sample_rate"))
    about = about if isinstance(about, dict) else {}
    found = {"model": about.get("model", "?"), "settings": settings, "versions": about.get("versions", {})}
    return found | ({"sample_rate": rate} if type(rate) is int else {})


def _clip(rows: list[dict], run: dict, stores: bool) -> ReportClip:
    segments = [_segment(row) for row in rows]
    sounds, rate, heard = {}, None, []
    if rows[0].get("audio"):
        heard = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32") for row in rows]
        rate = heard[0][1]
        sounds["explanation"] = [flac_of(np.concatenate([samples for samples, _ in heard]), rate)]
    rate = rate or run.get("sample_rate")
    if rate is not None:
        channels = heard[0][0].shape[1] if heard and heard[0][0].ndim == 2 else 1
        original = original_of([rows[0]["path"]], rows[0]["samples_sha256"], rate, channels, segments, stores)
        sounds |= {} if original is None else {"original": [original]}
    if not sounds:
        raise ReportError("the table holds no sound of it, and the recording is no longer there")
    seconds = segments[-1]["end_seconds"]
    evidence, frame_rate = _evidence(rows, seconds)
    record = {
        **chief(segments), "file": rows[0]["path"], "label": rows[0]["label"],
        "seconds": seconds, "unexplained_tail_seconds": 0.0,
        "segments": segments, **run, "sample_rate": rate, "settings": {"keep": segments[0]["keep"], **run["settings"]},
    }  # fmt: skip
    level = (
        None if "original" not in sounds else round(level_db(soundfile.read(io.BytesIO(sounds["original"][0]))[0]), 2)
    )
    return ReportClip(record, evidence, frame_rate, sounds, level_db=level, missing=_missing(rows[0], sounds))


def _segment(row: dict) -> dict:
    """A row as `audex explain` records it."""
    found = {"start_seconds": row["start_seconds"], "end_seconds": row["end_seconds"]}
    for column in columns():
        if column.name == "metrics":
            metrics = (name for name in row if name.startswith(METRIC))
            found["metrics"] = {name.removeprefix(METRIC).replace("_", "-"): row[name] for name in metrics}
        elif column.type == dict[str, float]:
            found[column.name] = {pair["label"]: pair["probability"] for pair in row[column.name]}
        else:
            found[column.name] = row[column.name]
    found |= {"levels": [{column.name: found[column.name] for column in columns(share=True)}]}
    check_segment(found)
    return found


def _missing(row: dict, sounds: dict) -> tuple[str, ...]:
    """What a job does not store, and what does."""
    found = ["Reconstruction, residual and occlusion map: audex explain RECORDING --report."]
    if row.get("attribution") is None:
        found.insert(0, "The attribution over time: audex batch --attribution.")
    if "explanation" not in sounds:
        found.insert(0, "The explanation's sound: audex batch without --no-audio.")
    if "original" not in sounds:
        found.append("The recording is no longer where it was, or has changed.")
    return tuple(found)


def _evidence(rows: list[dict], seconds: float) -> tuple[np.ndarray, float]:
    """Evidence for and against over time, `[t, 2]`, and its rate; zeros where the table leaves the attribution out."""
    if any(row.get("attribution") is None for row in rows):
        return np.zeros((1, 2)), 1 / seconds
    attribution = np.concatenate([np.asarray(row["attribution"], np.float32) for row in rows])
    return evidence_of(attribution), len(attribution) / seconds
