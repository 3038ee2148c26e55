"""A small job: recordings of every kind, a tiny explainer, and settings under which one program explains them all."""

import io
import os
import pathlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import main

# The noise filler depends on the length of the batch, so there is one length, and one program to compile.
OPTIONS = (
    "--ranking", "weighted", "--steps", "4", "--filler", "noise", "--shard-clips", "6", "--batch", "1", "--quiet",
)  # fmt: skip
REJECTED = {"a/empty.wav", "b/text.wav"}


def record(path: os.PathLike | bytes, samples: int, seed: int, rate: int = 1000) -> None:
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=samples), rate, format="WAV")


@pytest.fixture(scope="session")
def model(mdct_explainer, tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_explainer(directory, mdct_explainer, {"made_by": "test"})
    return str(directory)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> pathlib.Path:
    """22 recordings: two broken ones, odd names, one of three segments, lengths from 0.15 to 1 s."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "a").mkdir()
    (root / "b").mkdir()
    for i in range(16):
        record(root / "ab"[i % 2] / f"{i}.wav", 150 + 53 * i, seed=i)
    record(root / "a" / "long.wav", 2300, seed=20)
    record(root / "b" / 'it\'s a "name"\nin two lines.wav', 500, seed=21)
    record(bytes(root / "b") + b"/caf\xe9.wav", 500, seed=22)
    record(root / "b" / "other rate.flac", 4000, seed=23, rate=8000)
    (root / "a" / "empty.wav").touch()
    (root / "b" / "text.wav").write_text("not audio " * 100)
    return root


def batch(data, model, out, *options: str) -> int:
    """The exit code of `audex batch`."""
    return main(["batch", str(data), "--model", model, "--out", str(out), *OPTIONS, *options])


@pytest.fixture(scope="session")
def finished(recordings, model, tmp_path_factory) -> pathlib.Path:
    """The results of a job that nothing disturbed."""
    out = tmp_path_factory.mktemp("finished") / "out"
    assert batch(recordings, model, out, "--attribution") == 0
    return out


@pytest.fixture(scope="session")
def many(recordings, tmp_path_factory):
    """Lists of the small job's recordings, each many times over."""

    def listed(clips: int) -> pathlib.Path:
        path = tmp_path_factory.mktemp("lists") / "list.csv"
        names = [p for p in sorted(recordings.rglob("*")) if p.is_file() and "\n" not in p.name and p.name.isascii()]
        rows = (f'{i:05d},"{names[i % len(names)]}"\n' for i in range(clips))
        path.write_text("id,path\n" + "".join(rows))
        return path

    return listed


def rows_of(out: os.PathLike) -> list[dict]:
    """All rows of all parts, in order."""
    return [
        row for part in sorted(pathlib.Path(out).glob("parts/*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


def same_rows(first: list[dict], second: list[dict]) -> None:
    """Equal but for rounding: the same clips may have had other neighbours in a batch."""
    assert [(row["id"], row["segment"]) for row in first] == [(row["id"], row["segment"]) for row in second]
    for one, other in zip(first, second, strict=True):
        for name, value in one.items():
            if name == "audio":
                sounds = [soundfile.read(io.BytesIO(row["audio"]["bytes"])) for row in (one, other)]
                np.testing.assert_allclose(sounds[0][0], sounds[1][0], atol=2 / 32768)
            elif name == "top_elements":
                values = [[e["attribution"] for e in row[name]] for row in (one, other)]
                np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-6)
            elif name in ("convergence", "headline"):  # hold rounded numbers
                assert other[name].split()[:3] == value.split()[:3]
            elif name.endswith("probabilities"):
                pairs = [{pair["label"]: pair["probability"] for pair in row[name]} for row in (one, other)]
                assert pairs[1] == pytest.approx(pairs[0], rel=1e-3, abs=1e-5), name
            elif isinstance(value, float):
                assert other[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
            else:
                assert other[name] == value, name
