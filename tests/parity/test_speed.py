"""Benchmarks against PyTorch run; and a guard: figures that fell so far that someone must have broken something.

Ratios, not times: both sides are timed in turns on the same machine, whatever it is and whatever else it does. They
are far below what `benchmarks/README.md` reports, so that noise alone does not fail them.
"""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("captum")
pytest.importorskip("transformers")

pytestmark = pytest.mark.parity


def figures(tmp_path, module, *words):
    """What a benchmark writes, run by itself: these tests' fake devices, and the threads for these, are not its own."""
    path = tmp_path / "figures.json"
    environment = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "PJRT_NPROC")}
    command = [sys.executable, "-m", f"benchmarks.{module}", *words, "--json", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())


def test_the_whole_job_agrees_with_the_reference(tmp_path):
    (row,) = figures(tmp_path, "pipeline", "--small", "--repeats", "2", "--jobs", "same")["rows"]
    assert row["error"] <= 1e-3
    assert row["kept alike"] > 0.999
    assert row["x faster"] > 0


def test_the_published_evaluation_agrees_with_the_reference(tmp_path):
    rows = figures(tmp_path, "levels", "--small", "--repeats", "1")["rows"]
    assert [row["classified"] for row in rows] == ["as latents", "through the audio"]
    assert all(row["error"] < 1e-2 and row["x faster"] > 1 for row in rows)


def test_codec_is_not_slower_than_transformers(tmp_path):
    rows = figures(tmp_path, "codec", "--cases", "8x0.5", "--repeats", "5")["rows"]
    assert {row["direction"]: row["x faster than it"] > 1.0 for row in rows} == {"encode": True, "decode": True}


def test_gradients_are_not_slower_than_captum(tmp_path):
    (row,) = figures(tmp_path, "attribution_speed", "--cases", "2x1", "--points", "16", "--repeats", "5")["rows"]
    assert row["x faster"] > 0.8
