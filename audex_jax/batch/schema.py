"""Columns of the result tables, and what they mean. Another meaning or type is another `VERSION`.

One row is one segment of a recording: recordings longer than the classifier's clips are explained in several. The
columns of the judgement are the fields of `explain.result.Explanation`. `audio` is the physical form of an `Audio`
feature of Hugging Face `datasets`; the schema says so in its metadata.
"""

import pyarrow as pa

from audex_jax.core.registry import METRICS
from audex_jax.explain.result import columns
from audex_jax.explain.verdict import KINDS
from audex_jax.io.files import json_text

VERSION = 4
METRIC = "metric_"  # prefix of the columns of `explain/metrics`

PROBABILITIES = pa.list_(pa.struct([("label", pa.string()), ("probability", pa.float32())]))
TYPES = {str: pa.string(), bool: pa.bool_(), float: pa.float32()}
TYPES |= {one | None: kind for one, kind in TYPES.items()}
TYPES |= {dict[str, float]: PROBABILITIES}

Column = tuple[str, pa.DataType, str]  # name, type, meaning
PLACE: tuple[Column, ...] = (
    ("id", pa.string(), "of the recording, unique in the job"),
    ("path", pa.string(), "of the recording as text, bytes that are not UTF-8 as \\xff; of a record, name or address"),
    ("samples_sha256", pa.string(), "of the recording's samples as the codec takes them; which recording it was"),
    ("label", pa.string(), "what the list of clips, or the record, says that it is; null if neither does"),
    ("segment", pa.int32(), "number of the segment in its recording, from 0; (id, segment) is unique"),
    ("start_seconds", pa.float64(), "start of the segment in the recording"),
    ("end_seconds", pa.float64(), "end of the segment"),
)
VERDICT: tuple[Column, ...] = (
    ("verdict", pa.string(), f"what to make of the explanation: {', '.join(KINDS)}; see `explain.verdict`"),
    ("headline", pa.string(), "the verdict in one sentence"),
)
ELEMENT = pa.struct([("frame", pa.int32()), ("dim", pa.int32()), ("attribution", pa.float32())])
TOP = ("top_elements", pa.list_(ELEMENT), "latent elements with the largest |attribution|, largest first")
WHOLE = ("attribution", pa.list_(pa.list_(pa.float16())), "of every element, [frame][dim]; exact to 3e-8 or 0.05 %")
AUDIO = ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "the explanation as a FLAC file, 16 bit")

REJECTS = pa.schema(
    [("id", pa.string()), ("path", pa.string()), ("label", pa.string()), ("reason", pa.string())],
    {"audex": json_text({"version": VERSION})},
)


def judgement_columns() -> list[Column]:
    """The columns that come from the record of an explanation, and those of its metrics."""
    found = []
    for one in columns():
        unit = one.metadata["unit"]
        if one.name != "metrics":
            found.append((one.name, TYPES[one.type], one.metadata["meaning"] + (f" ({unit})" if unit else "")))
    for name in METRICS.names():
        meaning = (METRICS[name].__doc__ or name).splitlines()[0]
        found.append((METRIC + name.replace("-", "_"), pa.float32(), meaning))
    return found


def result_schema(sample_rate: int, elements: int = 32, attribution: bool = False, audio: bool = True) -> pa.Schema:
    """Schema of a part.

    Args:
        sample_rate: of the explanation's audio, in Hz.
        elements: number of top elements; 0 leaves the column out.
        attribution: with the whole attribution.
        audio: with the explanation's audio.
    """
    optional = [*([TOP] if elements else []), *([WHOLE] if attribution else []), *([AUDIO] if audio else [])]
    chosen = [*PLACE, *judgement_columns(), *VERDICT, *optional]
    fields = [pa.field(name, kind, metadata={"description": meaning}) for name, kind, meaning in chosen]
    features = {name: _feature(kind) for name, kind, _ in chosen}
    if audio:
        features["audio"] = {"sampling_rate": sample_rate, "_type": "Audio"}
    return pa.schema(fields, {"huggingface": json_text({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict:
    """A type as `datasets` writes it into the metadata of a Parquet file."""
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": {"float": "float32", "double": "float64", "halffloat": "float16"}.get(str(kind), str(kind)),
            "_type": "Value"}  # fmt: skip
