"""Commands that are killed at any instant: the same command ends, leaves nothing over, writes what it would have."""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.codecs.encodec.config import TINY
from weights_conversion.encodec import configs
from weights_conversion.export import hugging_face_tensors

PROGRAM = "import sys; from audex_jax.cli import main; sys.exit(main())"
QUICK = ("--steps", "4", "--ranking", "weighted", "--quiet")
KILLS = {"explain": 4, "train": 4, "evaluate": 3, "convert": 3, "report": 3, "batch": 4}
VOLATILE = ("seconds", "about")  # keys of JSON that tell of the run and not of its result


def start(*words: str | pathlib.Path) -> subprocess.Popen:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)], **pipes)


def finish(*words: str | pathlib.Path) -> float:
    """Seconds that a command takes to end well."""
    began, process = time.monotonic(), start(*words)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error.decode()
    return time.monotonic() - began


@pytest.fixture(scope="module")
def given(mdct_explainer, codec_of, tmp_path_factory) -> pathlib.Path:
    """A model, recordings of its labels, a published checkpoint, and an explained folder."""
    root, rng = tmp_path_factory.mktemp("given"), np.random.default_rng(0)
    save_explainer(root / "model", mdct_explainer, {"made_by": "test"})
    for label in ("down", "left", "up"):
        (root / "data" / label).mkdir(parents=True)
        for i in range(8):
            soundfile.write(root / "data" / label / f"{label}{i}.wav", 0.1 * rng.normal(size=400), 1000)
    (root / "hf").mkdir()
    safetensors.numpy.save_file(hugging_face_tensors(codec_of(TINY)), root / "hf" / "model.safetensors")
    (root / "hf" / "config.json").write_text(json.dumps(configs.to_hugging_face(TINY)[0]))
    finish("explain", root / "data", "--out", root / "explained", "--model", root / "model", *QUICK)
    return root


def command(name: str, given: pathlib.Path, out: pathlib.Path) -> list:
    data, model = given / "data", ("--model", given / "model")
    small = ("--width", "8", "--epochs", "3", "--batch", "8", "--variants", "1")
    return {
        "explain": [data / "down", "--out", out, *model, *QUICK, "--report", "--levels", "20,10"],
        "train": [data, "--codec", "mdct:1000", "--out", out, *small, "--quiet"],
        "evaluate": [data, "--out", out, *model, "--methods", "weighted,random", "--seeds", "1", "--quiet",
                     "--split", "train", "--controls", "0"],
        "convert": [given / "hf", out],
        "report": [given / "explained", "--out", out / "report.html", "--assets"],
        "batch": [data, "--out", out, *model, *QUICK, "--shard-clips", "6", "--batch", "2"],
    }[name]  # fmt: skip


def results(out: pathlib.Path) -> dict:
    """What lies in a folder, in a form that may be compared."""
    found = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        name = str(path.relative_to(out))
        if path.suffix == ".json":
            found[name] = without(json.loads(path.read_text()))
        elif path.suffix == ".parquet":
            found[name] = pq.read_table(io.BytesIO(path.read_bytes())).to_pylist()
        else:
            found[name] = path.read_bytes()
    return found


def without(value):
    """A tree of JSON without what differs between equal runs."""
    if isinstance(value, dict):
        return {key: without(item) for key, item in value.items() if key not in VOLATILE}
    return [without(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_a_killed_command_ends_when_it_is_given_again(name, given, tmp_path):
    for folder in ("right", "killed"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(list(name.encode()))
    whole, broken = (command(name, given, tmp_path / folder / "out") for folder in ("right", "killed"))
    if name == "report":
        for folder in ("right", "killed"):
            (tmp_path / folder / "out").mkdir()
    took = finish(name, *whole)
    for share in rng.uniform(0.2, 1, size=KILLS[name]):
        process = start(name, *broken)
        time.sleep(share * took)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(name, *broken)
    right, found = (results(tmp_path / folder / "out") for folder in ("right", "killed"))
    assert found.keys() == right.keys()
    assert [path for path in found if found[path] != right[path]] == []
    assert not list((tmp_path / "killed").rglob(".*"))
