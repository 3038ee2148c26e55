"""The parts, read by the tools that data people use."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch.schema import AUDIO, PLACE, TOP, VERDICT, VERSION, WHOLE, judgement_columns
from audex_jax.cli import main

from .conftest import OPTIONS, rows_of

COLUMNS = (*PLACE, *judgement_columns(), *VERDICT)


@pytest.fixture(scope="module")
def results(recordings, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("tables") / "out"
    assert main(["batch", str(recordings), "--model", model, "--out", str(out), *OPTIONS, "--attribution"]) == 0
    return out


def test_the_schema_is_documented_and_versioned(results):
    (*_, part) = sorted(results.glob("parts/*"))
    schema = pq.read_schema(part)
    assert schema.names == [name for name, *_ in (*COLUMNS, TOP, WHOLE, AUDIO)]
    assert all(schema.field(name).metadata[b"description"] for name in schema.names)
    about = json.loads(schema.metadata[b"audex"])
    assert (about["version"], about["shard"], about["clips"]) == (VERSION, 3, 4)


def test_columns_can_be_left_out(recordings, model, tmp_path):
    options = ("--no-audio", "--elements", "0")
    assert main(["batch", str(recordings), "--model", model, "--out", str(tmp_path), *OPTIONS, *options]) == 0
    assert list(rows_of(tmp_path)[0]) == [name for name, *_ in COLUMNS]
    assert {"sufficient", "verdict", "metric_level"} <= set(rows_of(tmp_path)[0])


def test_datasets_read_the_parts_with_their_audio(results, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the extra `tables` is not installed")
    found = datasets.load_dataset(
        "parquet", data_files=str(results / "parts" / "*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert found.features["audio"] == datasets.Audio(sampling_rate=1000)
    found = found.cast_column("audio", datasets.Audio(decode=False))  # decoding wants torchcodec
    rows = rows_of(results)
    assert found["id"] == [row["id"] for row in rows]
    for row, stored in zip(found, rows, strict=True):
        assert row["audio"] == stored["audio"]
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == 1000
        assert len(samples) == round((row["end_seconds"] - row["start_seconds"]) * 1000)
        np.testing.assert_array_equal(row["attribution"], stored["attribution"])
        assert row["top_elements"] == stored["top_elements"]


def test_duckdb_asks_the_parts(results):
    duckdb = pytest.importorskip("duckdb", reason="the extra `tables` is not installed")
    rows = rows_of(results)
    parts = str(results / "parts" / "*.parquet")
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
