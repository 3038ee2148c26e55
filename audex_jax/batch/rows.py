"""An explanation as a row of the result table; `schema` says what the columns mean."""

import numpy as np
import pyarrow as pa

from audex_jax.batch.schema import METRIC
from audex_jax.explain.result import Explanation, judgement
from audex_jax.io.audio import flac_of


def row_of(
    identity: dict, segment: int, start: int, explanation: Explanation, elements: int, attribution: bool, audio: bool
) -> dict:
    """The row of one segment.

    Args:
        identity: its `id`, `path` and `label`.
        segment: number of the segment.
        start: first sample of the segment in its recording.
        explanation: of the segment.
        elements, attribution, audio: as in `schema.result_schema`.
    """
    e, verdict = explanation, explanation.verdict
    rate = e.sample_rate
    place = {"segment": segment, "start_seconds": start / rate, "end_seconds": (start + len(e.audio)) / rate}
    found = judgement(e)
    metrics = {METRIC + name.replace("-", "_"): value for name, value in found.pop("metrics").items()}
    columns = {name: pairs_of(value) if isinstance(value, dict) else value for name, value in found.items()}
    row = identity | place | columns | metrics | {"verdict": verdict.kind, "headline": verdict.headline}
    if elements:
        row["top_elements"] = top_elements(e.attribution, elements)
    if attribution:
        row["attribution"] = e.attribution.astype(np.float16)
    if audio:
        row["audio"] = {"bytes": flac_of(e.audio, rate), "path": f"{row['id']}.{segment}.flac"}
    return row


def pairs_of(probabilities: dict[str, float]) -> list[dict]:
    """Probabilities by label as the tables hold them."""
    return [{"label": label, "probability": value} for label, value in probabilities.items()]


def top_elements(attribution: np.ndarray, count: int) -> list[dict]:
    """The `count` elements of largest absolute value; of equal ones, the first.

    >>> top_elements(np.array([[0.5, -2.0], [1.0, 0.0]]), 2)
    [{'frame': 0, 'dim': 1, 'attribution': -2.0}, {'frame': 1, 'dim': 0, 'attribution': 1.0}]
    """
    order = np.argsort(-np.abs(attribution), axis=None, kind="stable")[:count]
    frames, dims = np.unravel_index(order, attribution.shape)
    values = attribution[frames, dims]
    return [
        {"frame": int(t), "dim": int(d), "attribution": float(a)} for t, d, a in zip(frames, dims, values, strict=True)
    ]


def table_of(rows: list[dict], schema: pa.Schema) -> pa.Table:
    """Rows as a table."""
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        columns.append(_nested(values) if field.name == "attribution" else pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _nested(values: list[np.ndarray]) -> pa.Array:
    """Matrices `[t, d]` as lists of lists, without making a Python number of each element."""
    dims = values[0].shape[1] if values else 0
    flat = pa.array(np.concatenate([v.ravel() for v in values]) if values else np.zeros(0, np.float16))
    frames = np.cumsum([0, *(len(v) for v in values)])
    inner = pa.ListArray.from_arrays(pa.array(np.arange(frames[-1] + 1) * dims, pa.int32()), flat)
    return pa.ListArray.from_arrays(pa.array(frames, pa.int32()), inner)
