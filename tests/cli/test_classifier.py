"""Classifiers of one's own from the command line: explain, batch, and what cannot be opened."""

import json
import os
import pathlib

import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.cli import main
from audex_jax.cli.bundles import target_and_range

CODE = """
import jax.numpy as jnp
import numpy as np
import audex_jax as audex

def halves(params, audio, length):
    energy = jnp.square(audio[:, 0])
    early = jnp.arange(len(audio)) < 250
    return 5 * jnp.stack([(energy * early).sum(), (energy * ~early).sum()])

def frames(audio, length):
    energy = jnp.square(audio[:500, 0]).reshape(10, 50).sum(1)
    return jnp.stack([energy, 1 - energy], 1)

def by_numpy(audio):
    return 5 * np.stack([np.square(audio[:, :250]).sum(1), np.square(audio[:, 250:]).sum(1)], 1)

def whole():
    return audex.for_waveform(halves, ["early", "late"], sample_rate=1000, clip_seconds=0.5)

def broken():
    raise OSError("no such weights")

NUMBER = 3
"""
QUICK = ["--steps", "4", "--mask-steps", "1", "--budget", "64", "--keep", "0.4", "--quiet"]
GIVEN = ["--labels", "early,late", "--rate", "1000", "--clip-seconds", "0.5"]


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """A module, and a recording that is loud in its second half, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    clip = 0.02 * rng.normal(size=500)
    clip[350:430] *= 30
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "late.wav", clip, 1000, subtype="FLOAT")
    (tmp_path / "labels.txt").write_text("early\nlate\n")
    return name


@pytest.mark.parametrize(
    ("name", "options", "prediction"),
    [
        ("halves", GIVEN, "late"),
        ("by_numpy", ["--labels", "labels.txt", *GIVEN[2:]], "late"),
        ("whole", [], "late"),
        ("frames", [*GIVEN, "--target", "early@0.3-0.5"], "early"),
        ("frames", [*GIVEN, "--target", "late@0.0-0.3", "--output", "independent-logits"], "late"),
    ],
)
def test_they_are_explained(folder, name, options, prediction, capsys):
    command = ["explain", "clips/late.wav", "--classifier", f"{folder}:{name}", "--out", "out", "--no-control"]
    assert main([*command, *options, *QUICK]) == 0, capsys.readouterr().err
    record = json.loads(pathlib.Path("out/late.json").read_text())
    assert record["prediction"] == prediction
    assert record["model"] == f"{folder}:{name}"
    assert (record["settings"]["method"] == "masked-regression") == (name == "by_numpy")


def test_a_job_takes_them(folder):
    command = ["batch", "clips", "--classifier", f"{folder}:by_numpy", *GIVEN, "--out", "job", *QUICK, "--batch", "1"]
    assert main(command) == 0
    (part,) = pathlib.Path("job/parts").glob("*.parquet")
    assert pq.read_table(part).column("prediction").to_pylist() == ["late"]


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("{}:broken", GIVEN, "OSError: no such weights"),
        ("{}:nothing", GIVEN, "has no attribute 'nothing'"),
        ("{}:NUMBER", GIVEN, "is a int; name an Explainer, a function or a PyTorch module"),
        ("no_such_module:f", GIVEN, "ModuleNotFoundError"),
        ("{}:halves", GIVEN[2:], "its labels are not known; give --labels"),
        ("{}:halves", GIVEN[:2], "its sample rate is not known; give --rate"),
        ("{}:halves", ["--labels", "none.txt", *GIVEN[2:]], "none.txt: cannot be read"),
        ("{}:halves", ["--labels", "a,b,c", *GIVEN[2:]], "gives 2 numbers for a clip, but there are 3 labels"),
        ("model.onnx", GIVEN, "model.onnx: no such file"),
        ("nonsense", GIVEN, "no such classifier; give hf:FOLDER"),
    ],
)
def test_what_cannot_be_opened_is_one_line(folder, source, options, words, capsys):
    command = ["explain", "clips/late.wav", "--classifier", source.format(folder), "--out", "out", *options]
    assert main(command) in (1, 2)
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder, capsys):
    for name in ("pipe.txt", "pipe.onnx"):
        os.mkfifo(name)
    given = ["explain", "clips/late.wav", "--out", "out", "--rate", "1000"]
    assert main([*given, "--classifier", f"{folder}:halves", "--labels", "pipe.txt"]) == 1
    assert "pipe.txt: cannot be read" in capsys.readouterr().err
    assert main([*given, "--classifier", "pipe.onnx", "--labels", "a,b"]) == 1
    assert "pipe.onnx: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("yes", ("yes", None)),
        ("a@b", ("a@b", None)),
        ("yes@0.5-1.25", ("yes", (0.5, 1.25))),
        ("yes@2-1", ("yes@2-1", None)),
        (None, (None, None)),
    ],
)
def test_a_target_may_have_a_time_range(target, expected):
    assert target_and_range(target) == expected
