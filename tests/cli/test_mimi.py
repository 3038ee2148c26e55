"""The whole way on a codec with transformers and a split quantiser: train, explain, batch, evaluate."""

import json

import numpy as np
import pytest
import soundfile

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs import mimi


@pytest.fixture(scope="module")
def folder(tmp_path_factory, codec_of):
    """Tones of two pitches in noise, 0.2 s at 1 kHz, and a bundle of Mimi."""
    rng, t, folder = np.random.default_rng(0), np.arange(200) / 1000, tmp_path_factory.mktemp("mimi")
    for label, pitch in (("high", 230), ("low", 60)):
        (folder / "data" / label).mkdir(parents=True)
        for i in range(10):
            tone = 0.3 * np.sin(2 * np.pi * pitch * t + i) + 0.01 * rng.normal(size=200)
            soundfile.write(folder / "data" / label / f"{i}.wav", tone, 1000)
    bundles.save_codec(folder / "codec", codec_of(mimi.TINY), {})
    return folder


def test_codes_of_a_recording_go_through_a_file(folder, tmp_path, capsys):
    recording, codec = str(folder / "data" / "low" / "0.wav"), str(folder / "codec")
    coded, played = str(tmp_path / "coded.npz"), str(tmp_path / "played.wav")
    assert main(["encode", recording, "--codec", codec, "--bandwidth", "1", "--out", coded]) == 0
    assert "25 frames x 2 codebooks, 1 kbps" in capsys.readouterr().out
    assert main(["decode", coded, "--codec", codec, "--out", played]) == 0
    assert main(["reconstruct", recording, "--codec", codec, "--bandwidth", "1", "--out", str(tmp_path / "r.wav")]) == 0
    (one, _), (other, _) = soundfile.read(played), soundfile.read(tmp_path / "r.wav")
    assert one.shape == (200,)
    np.testing.assert_allclose(one, other, atol=2 / 2**15)


@pytest.mark.slow
def test_train_explain_batch_and_evaluate(folder, tmp_path, capsys):
    data, model = str(folder / "data"), str(tmp_path / "model")
    given = ["train", data, "--codec", str(folder / "codec"), "--out", model, "--bandwidth", "2", "--quiet"]
    given += ["--width", "8", "--epochs", "12", "--batch", "8", "--variants", "1", "--learning-rate", "1e-2"]
    assert main(given) == 0
    description = json.loads((tmp_path / "model" / "bundle.json").read_text())
    assert (description["codec"]["family"], description["bandwidth"]) == ("mimi", 2.0)
    recordings = [str(folder / "data" / label / "0.wav") for label in ("high", "low")]
    few = ["--model", model, "--steps", "4", "--mask-steps", "2"]
    assert main(["explain", *recordings, *few, "--out", str(tmp_path / "explained")]) == 0
    kept, rate = soundfile.read(next((tmp_path / "explained").rglob("*0*/*.wav")))
    assert rate == 1000
    assert np.isfinite(kept).all()
    assert main(["batch", data, *few, "--out", str(tmp_path / "many"), "--quiet"]) == 0
    assert "20" in capsys.readouterr().out
    evaluate = ["evaluate", data, *few, "--out", str(tmp_path / "figures"), "--limit", "2", "--quiet"]
    evaluate += [
        "--methods",
        "signed,random",
        "--seeds",
        "1",
        "--levels",
        "0.2",
        "--fillers",
        "zero",
        "--controls",
        "2",
    ]
    assert main(evaluate) == 0
