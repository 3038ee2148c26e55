"""Columns of the result tables, and what they mean. Another meaning or type is another `VERSION`.

One row is one segment of a recording: recordings longer than the classifier's clips are explained in several.
`audio` is the physical form of an `Audio` feature of Hugging Face `datasets`; the schema says so in its metadata.
"""

import json

import pyarrow as pa

VERSION = 1

# name, type, meaning
COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("id", pa.string(), "of the recording, unique in the job"),
    ("path", pa.string(), "of the recording as text, bytes that are not UTF-8 as \\xff; of a record, name or address"),
    ("label", pa.string(), "what the list of clips, or the record, says that it is; null if neither does"),
    ("segment", pa.int32(), "number of the segment in its recording, from 0; (id, segment) is unique"),
    ("start_seconds", pa.float64(), "start of the segment in the recording"),
    ("end_seconds", pa.float64(), "end of the segment"),
    ("prediction", pa.string(), "label that the classifier gives the segment"),
    ("probability", pa.float32(), "of the prediction"),
    ("target", pa.string(), "label that is explained; the prediction unless another was asked for"),
    ("target_probability", pa.float32(), "of the target"),
    (
        "completeness_gap",
        pa.float32(),
        "|sum of attributions - logit difference| / that difference; null if it is < 0.001",
    ),
    ("converged", pa.bool_(), "the attribution can be relied on; if not, single elements are not to be trusted"),
    ("verdict", pa.string(), "why, in words, and what to do"),
    ("latent_sufficient", pa.bool_(), "the kept part of the latent gets the same label"),
    ("sufficient", pa.bool_(), "the explanation as audio, encoded and classified again, gets the same label"),
    ("explanation_probability", pa.float32(), "of the target, read off the explanation's audio"),
    ("latent_necessary", pa.bool_(), "the latent without the kept part gets another label"),
    ("necessary", pa.bool_(), "the rest as audio gets another label"),
    ("reconstruction_agrees", pa.bool_(), "the plain reconstruction gets the same label; if not, no explanation can"),
    ("silent", pa.bool_(), "no sound above -80 dBFS; the explanation means nothing"),
)
ELEMENT = pa.struct([("frame", pa.int32()), ("dim", pa.int32()), ("attribution", pa.float32())])
TOP = ("top_elements", pa.list_(ELEMENT), "latent elements with the largest |attribution|, largest first")
WHOLE = ("attribution", pa.list_(pa.list_(pa.float16())), "of every element, [frame][dim]; exact to 3e-8 or 0.05 %")
AUDIO = ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "the explanation as a FLAC file, 16 bit")

REJECTS = pa.schema(
    [("id", pa.string()), ("path", pa.string()), ("label", pa.string()), ("reason", pa.string())],
    {"audex": json.dumps({"version": VERSION})},
)


def result_schema(sample_rate: int, elements: int = 32, attribution: bool = False, audio: bool = True) -> pa.Schema:
    """Schema of a part.

    Args:
        sample_rate: of the explanation's audio, in Hz.
        elements: number of top elements; 0 leaves the column out.
        attribution: with the whole attribution.
        audio: with the explanation's audio.
    """
    chosen = [*COLUMNS, *([TOP] if elements else []), *([WHOLE] if attribution else []), *([AUDIO] if audio else [])]
    fields = [pa.field(name, kind, metadata={"description": meaning}) for name, kind, meaning in chosen]
    features = {name: _feature(kind) for name, kind, _ in chosen}
    if audio:
        features["audio"] = {"sampling_rate": sample_rate, "_type": "Audio"}
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict:
    """A type as `datasets` writes it into the metadata of a Parquet file."""
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": {"float": "float32", "double": "float64", "halffloat": "float16"}.get(str(kind), str(kind)),
            "_type": "Value"}  # fmt: skip
