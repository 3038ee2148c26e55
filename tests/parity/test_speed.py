"""Every benchmark against PyTorch runs; and a guard: we are not slower than PyTorch, whatever the machine."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("captum")
pytest.importorskip("transformers")

pytestmark = pytest.mark.parity


def figures(tmp_path, module, *words):
    """What a benchmark writes, run by itself: these tests' fake devices are not its own."""
    path = tmp_path / "figures.json"
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    command = [sys.executable, "-m", f"benchmarks.{module}", *words, "--json", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text())


def test_the_whole_job_agrees_with_the_reference(tmp_path):
    found = figures(tmp_path, "pipeline", "--small", "--repeats", "2")
    assert found["same"]["errors"]["logits"] <= 1e-3
    assert found["same"]["x faster"] > 0
    assert [row["scored"] for row in found["levels"]] == 2 * ["on the latent", "through the audio"]
    assert all(row["peak"] >= row["before"] > 0 for row in found["memory"])
