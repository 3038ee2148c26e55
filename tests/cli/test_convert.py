"""`audex convert, reconstruct, encode, decode, export` as users meet them: output, exit codes, leftovers."""

import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.encodec import segments
from audex_jax.codecs.encodec.config import TINY
from audex_jax.io.audio import read_audio, write_audio
from weights_conversion.encodec import configs
from weights_conversion.export import hugging_face_tensors


@pytest.fixture
def bundle(codec_of, tmp_path):
    bundles.save_codec(tmp_path / "codec", codec_of(TINY), {})
    return tmp_path / "codec"


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "speech.wav"
    write_audio(path, np.random.default_rng(0).uniform(-0.5, 0.5, (1234, 2)).astype(np.float32), 2000)
    return path


def test_convert_says_what_it_made_and_where_from(codec_of, tmp_path, capsys):
    (tmp_path / "hf").mkdir()
    safetensors.numpy.save_file(hugging_face_tensors(codec_of(TINY)), tmp_path / "hf" / "model.safetensors")
    (tmp_path / "hf" / "config.json").write_text(json.dumps(configs.to_hugging_face(TINY)[0]))
    assert main(["convert", str(tmp_path / "hf"), str(tmp_path / "out")]) == 0
    assert "1000 Hz, 1 channel(s), 100 frames of 6 numbers a second" in capsys.readouterr().out
    origin = bundles.read_description(tmp_path / "out")["origin"]
    assert origin["made_by"] == "audex convert"
    assert len(origin["sha256"]["model.safetensors"]) == 64
    assert main(["reconstruct", "nowhere.wav", "--codec", str(tmp_path / "out"), "--out", str(tmp_path / "k.wav")]) == 1
    assert "nowhere.wav: no such file" in capsys.readouterr().err


def test_the_module_is_the_same_command(tmp_path):
    command = [sys.executable, "-m", "weights_conversion", "nothing", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no such file or folder" in done.stderr


def test_reconstruct_writes_what_the_codec_keeps(bundle, recording, tmp_path, capsys):
    out = tmp_path / "kept.flac"
    assert main(["reconstruct", str(recording), "--codec", str(bundle), "--out", str(out)]) == 0
    samples = read_audio(recording, TINY.sample_rate)
    expected = segments.reconstruct(bundles.load_codec(bundle), jnp.asarray(samples)[None, :, None], None)
    np.testing.assert_allclose(read_audio(out, 1000), np.clip(expected[0, :, 0], -1, 1), atol=1 / 2**15)
    assert "continuous latent" in capsys.readouterr().out


def test_encode_and_decode_are_reconstruct_in_two_steps(bundle, recording, tmp_path, capsys):
    codec = ["--codec", str(bundle)]
    once, twice, codes = tmp_path / "once.wav", tmp_path / "twice.wav", tmp_path / "codes.npz"
    assert main(["reconstruct", str(recording), *codec, "--bandwidth", "0.8", "--out", str(once)]) == 0
    assert "0.8 kbps" in capsys.readouterr().out
    assert main(["encode", str(recording), *codec, "--bandwidth", "0.8", "--out", str(codes)]) == 0
    assert main(["decode", str(codes), *codec, "--out", str(twice)]) == 0
    np.testing.assert_allclose(read_audio(once, 1000), read_audio(twice, 1000), atol=1.5 / 2**15)
    with np.load(codes) as file:
        assert file["codes"].shape == (62, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["reconstruct", "speech.wav", "--codec", "codec", "--out", "kept.mp3"], 2, "must end in .wav or .flac"),
        (["reconstruct", "speech.wav", "--codec", "codec", "--out", "no/kept.wav"], 2, "there is no folder no"),
        (["reconstruct", "speech.wav", "--codec", "none", "--out", "kept.wav"], 1, "none: not a bundle"),
        (["reconstruct", "empty.wav", "--codec", "codec", "--out", "kept.wav"], 1, "the file is empty"),
        (
            ["reconstruct", "speech.wav", "--codec", "codec", "--bandwidth", "5", "--out", "kept.wav"],
            1,
            "no bandwidth 5 kbps; it offers 0.4, 0.8, 1.6",
        ),
        (["encode", "speech.wav", "--codec", "codec", "--bandwidth", "0.8", "--out", "codes"], 2, "must end in .npz"),
        (["decode", "nowhere.npz", "--codec", "codec", "--out", "kept.wav"], 1, "nowhere.npz: no such file"),
        (["decode", "speech.wav", "--codec", "codec", "--out", "kept.wav"], 1, "not a file of codes"),
        (["export", "codec", "codec"], 1, "exists and is not empty"),
        (["convert", "codec", "out"], 1, "no checkpoint in this folder"),
        (["convert", "codec", "out", "--model", "encodec-96khz"], 2, "choose auto or one of "),
    ],
)
def test_bad_calls_are_explained_and_leave_nothing(
    bundle, recording, tmp_path, monkeypatch, arguments, code, message, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith(f"audex {arguments[0]}: ")
    assert sorted(tmp_path.rglob("*")) == before
