"""The parts, read by the tools that data people use."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch.schema import AUDIO, PLACE, TOP, VERDICT, VERSION, WHOLE, judgement_columns

from .conftest import rows_of

COLUMNS = (*PLACE, *judgement_columns(), *VERDICT)


def test_the_schema_is_documented_and_versioned(finished):
    (*_, part) = sorted(finished.glob("parts/*"))
    schema = pq.read_schema(part)
    assert schema.names == [name for name, *_ in (*COLUMNS, TOP, WHOLE, AUDIO)]
    assert all(schema.field(name).metadata[b"description"] for name in schema.names)
    about = json.loads(schema.metadata[b"audex"])
    assert (about["version"], about["shard"], about["clips"]) == (VERSION, 3, 4)


def test_datasets_read_the_parts_with_their_audio(finished, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the extra `tables` is not installed")
    found = datasets.load_dataset(
        "parquet", data_files=str(finished / "parts" / "*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert found.features["audio"] == datasets.Audio(sampling_rate=1000)
    found = found.cast_column("audio", datasets.Audio(decode=False))  # decoding wants torchcodec
    rows = rows_of(finished)
    assert found["id"] == [row["id"] for row in rows]
    for row, stored in zip(found, rows, strict=True):
        assert row["audio"] == stored["audio"]
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == 1000
        assert len(samples) == round((row["end_seconds"] - row["start_seconds"]) * 1000)
        np.testing.assert_array_equal(row["attribution"], stored["attribution"])
        assert row["top_elements"] == stored["top_elements"]


def test_duckdb_asks_the_parts(finished):
    duckdb = pytest.importorskip("duckdb", reason="the extra `tables` is not installed")
    rows = rows_of(finished)
    parts = str(finished / "parts" / "*.parquet")
    ask = duckdb.connect().execute
    count, agree, sound = ask(
        "SELECT count(*), sum(sufficient::int), sum(octet_length(audio.bytes)) FROM read_parquet(?)", [parts]
    ).fetchone()
    assert count == len(rows)
    assert agree == sum(row["sufficient"] for row in rows)
    assert sound == sum(len(row["audio"]["bytes"]) for row in rows)
    largest = ask(
        "SELECT id, top_elements[1].attribution FROM read_parquet(?) ORDER BY id, segment", [parts]
    ).fetchall()
    assert largest == [(row["id"], row["top_elements"][0]["attribution"]) for row in rows]
    total = ask("SELECT list_sum(flatten(attribution)) FROM read_parquet(?) ORDER BY id, segment", [parts]).fetchall()
    np.testing.assert_allclose([t for (t,) in total], [np.sum(row["attribution"]) for row in rows], atol=1e-4)
