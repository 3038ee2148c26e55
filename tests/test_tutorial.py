"""The tutorial runs from top to bottom as it stands, and leaves behind what it says."""

import os
import pathlib
import subprocess
import sys

import pytest

TUTORIAL = pathlib.Path(__file__).parents[1] / "tutorial.py"


@pytest.mark.long  # the site of the documentation executes it, too
@pytest.mark.skipif(not TUTORIAL.exists(), reason="the tutorial is only in the source tree")
def test_the_tutorial_runs(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, TUTORIAL], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (out,) = tmp_path.glob("audex-tutorial-*")
    written = {path.name for path in out.iterdir()}
    sounds, folders = {"explanation.wav", "residual.wav", "bright.wav"}, {"whistles", "study"}
    assert written >= sounds | folders | {"report.html", "explained.parquet"}
    accuracy = float(done.stdout.split("accuracy on clips it never saw ")[1].split()[0])
    assert accuracy > 0.8
    assert "classified as 'whistle'" in done.stdout
    assert done.stdout.count("Most depends on frame") == 4  # a row for each demo clip
    assert (out / "study" / "study.html").exists()
