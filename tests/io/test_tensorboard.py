"""What is logged for TensorBoard can be read back from the event file."""

import io

import numpy as np
import pytest
import soundfile

from audex_jax.cli import main
from audex_jax.core.errors import AudexError
from audex_jax.io.tensorboard import RunLog
from audex_jax.report.figure import confusion_figure


def test_scalars_sounds_and_figures_come_back(tmp_path, logged):
    tone = 0.5 * np.sin(np.arange(800)).astype(np.float32)
    with RunLog(str(tmp_path / "log")) as log:
        log.scalars(7, {"loss": 0.25, "accuracy": float("nan")})
        log.sound("tone", 8, tone, 8000)
        log.figure("confusion", 9, confusion_figure(np.array([[3, 1], [0, 2]]), ("$no", "yes")))
    found = logged(tmp_path / "log")
    assert set(found) == {("loss", 7), ("tone", 8), ("confusion", 9)}
    assert found["loss", 7].simple_value == 0.25
    samples, rate = soundfile.read(io.BytesIO(found["tone", 8].audio.encoded_audio_string))
    assert rate == 8000
    np.testing.assert_allclose(samples, tone, atol=1e-4)
    picture = found["confusion", 9].image
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert picture.height == picture.width > 200


def test_without_a_folder_and_by_a_command_that_fails_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunLog(None) as log:
        log.scalars(1, {"loss": 1.0})
        log.sound("tone", 1, np.zeros(10), 8000)
    assert main(["train-codec", "nowhere", "--out", "out", "--tensorboard", "log"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_said_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AudexError, match=r"pip install 'audex-jax\[tensorboard\]'"):
        RunLog(str(tmp_path))
    assert main(["train", "nowhere", "--codec", "x", "--out", "y", "--tensorboard", str(tmp_path / "log")]) == 1
    assert "needs tensorboardX" in capsys.readouterr().err
