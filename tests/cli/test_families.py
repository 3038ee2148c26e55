"""Every command that takes a codec, on the `TINY` of each codec family that has weights."""

import importlib

import numpy as np
import pytest
import soundfile

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.core.registry import CODECS
from audex_jax.io.audio import read_audio

FAMILIES = [name for name in CODECS.names() if hasattr(importlib.import_module(f"audex_jax.codecs.{name}"), "TINY")]


@pytest.fixture(params=FAMILIES)
def codec(request, codec_of, tmp_path):
    """A bundle, and the codec in it."""
    config = importlib.import_module(f"audex_jax.codecs.{request.param}").TINY
    bundles.save_codec(tmp_path / "codec", codec_of(config), {})
    return codec_of(config)


@pytest.fixture
def data(codec, tmp_path):
    """Tones of two pitches in noise, 0.2 s."""
    rng, rate = np.random.default_rng(0), codec.sample_rate
    t = np.arange(rate // 5) / rate
    for label, pitch in (("high", 0.23), ("low", 0.06)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(10):
            tone = 0.3 * np.sin(2 * np.pi * pitch * rate * t + i) + 0.01 * rng.normal(size=len(t))
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", tone, rate)
    return tmp_path / "data"


@pytest.mark.slow
def test_codes_and_reconstruction(codec, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip, bandwidth = "data/low/0.wav", f"{codec.bandwidths[1]:g}"
    assert main(["encode", clip, "--codec", "codec", "--bandwidth", bandwidth, "--out", "clip.npz"]) == 0
    assert f"x 2 codebooks, {bandwidth} kbps" in capsys.readouterr().out
    assert main(["decode", "clip.npz", "--codec", "codec", "--out", "twice.wav"]) == 0
    assert main(["reconstruct", clip, "--codec", "codec", "--bandwidth", bandwidth, "--out", "once.wav"]) == 0
    once, twice = (read_audio(f"{name}.wav", codec.sample_rate) for name in ("once", "twice"))
    assert len(once) == len(read_audio(clip, codec.sample_rate))
    np.testing.assert_allclose(once, twice, atol=2 / 2**15)
    assert main(["models", "codec"]) == 0
    assert codec.config.name in capsys.readouterr().out


@pytest.mark.slow
def test_train_and_explain(codec, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--width", "8", "--epochs", "6", "--batch", "4", "--variants", "1", "--learning-rate", "5e-3", "--quiet"]
    assert main(["train", "data", "--codec", "codec", "--out", "model", *small]) == 0
    explainer = bundles.load_explainer("model")
    assert type(explainer.model.codec) is type(codec)
    quick = ["--model", "model", "--steps", "4", "--levels", "20,10"]
    assert main(["explain", "data/low", "--out", "explained", *quick]) == 0
    assert len(list((tmp_path / "explained").rglob("*.json"))) >= 10
