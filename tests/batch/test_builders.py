"""`audex prepare`: folders of recordings as data sets, and read back."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audex_jax.batch.manifest import read_manifest
from audex_jax.cli import main
from audex_jax.data.folder import read_folder
from audex_jax.data.prepared import list_records, read_record
from audex_jax.io.audio import read_recording

tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="the extra `prepare` is not installed"
)


def prepare(home: pathlib.Path, *words: str) -> subprocess.CompletedProcess:
    """In a process of its own: TensorFlow stays out of this one."""
    command = [sys.executable, "-c", "import sys; from audex_jax.cli import main; sys.exit(main())", "prepare", *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"TFDS_DATA_DIR": str(home)})


@pytest.fixture
def home(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def sound(path: pathlib.Path, seed: int, rate: int = 1000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).normal(size=400)
    soundfile.write(os.fsencode(path), samples, rate, format=path.suffix[1:])


def records(name: str, rate: int = 1000) -> dict[str, tuple[str, np.ndarray]]:
    """Label and samples of each recording of a data set, by file name."""
    found = [read_record(address, rate) for address in list_records(name)[1]]
    return {record.known["path"]: (record.known["label"], record.samples) for record in found}


@tensorflow
@pytest.mark.slow
def test_a_labelled_folder_is_prepared_and_read_back(tmp_path, home):
    root = tmp_path / "my sounds"
    for i in range(12):
        sound(root / "ab"[i % 2] / f"{i}.{('wav', 'flac')[i % 2]}", i, rate=(1000, 500)[i % 2])
    sound(root / "a" / os.fsdecode(b"caf\xe9.wav"), 20)
    refused = prepare(home, "audio_folder", str(root))
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith("use letters, digits, _, - and .")
    done = prepare(home, "audio_folder", str(root), "--name", "sounds")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("tfds:audio_folder/sounds: 9 train, 2 val, 2 test; explain")
    for split in ("train", "val", "test"):
        clips = read_folder(root).split(split)
        found = records(f"tfds:audio_folder/sounds:{split}")
        assert len(found) == len(clips)
        for clip in clips:
            label, samples = found[os.fsencode(clip.path.relative_to(root)).decode("utf-8", "backslashreplace")]
            assert label == clip.label
            np.testing.assert_array_equal(samples, read_recording(clip.path, 1000))
    again = prepare(home, "audio_folder", str(root), "--name", "sounds")
    assert again.returncode == 1
    assert "prepared already; --overwrite" in again.stderr
    (root / "a" / "0.wav").unlink()
    assert prepare(home, "audio_folder", str(root), "--name", "sounds", "--overwrite").returncode == 0
    assert len(read_manifest("tfds:audio_folder/sounds")) == 12
    assert not list(home.rglob("*incomplete*"))


@tensorflow
@pytest.mark.slow
def test_tess_in_its_published_layout(tmp_path, home):
    root = tmp_path / "TESS"
    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    words = ("back", "bar", "base", "bath", "bean", "bite", "boat")
    for folder, speaker in (("OAF", "OAF"), ("YAF", "YAF")):
        for i, word in enumerate(words):
            for j, emotion in enumerate(emotions):
                name = "OA_bite_neutral" if (speaker, word, emotion) == ("OAF", "bite", "neutral") else None
                rate = 4000 if (speaker, word, emotion) == ("OAF", "boat", "fear") else 1000
                sound(root / f"{folder}_{emotion}" / f"{name or f'{speaker}_{word}_{emotion}'}.wav", 7 * i + j, rate)
    sound(root / "again" / "OAF_back_angry.wav", 1)
    done = prepare(home, "tess", str(root))
    assert done.returncode == 0, done.stderr
    by_split = {split: records(f"tfds:tess:{split}") for split in ("train", "val", "test")}
    assert sum(map(len, by_split.values())) == 98
    assert {label for label, _ in by_split["test"].values()} == {*emotions[:5], "pleasant_surprise", "sad"}
    spoken = [{name.split("_")[-2] for name in found} for found in by_split.values()]
    assert set().union(*spoken) == set(words)
    assert sum(map(len, spoken)) == len(words)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_without_tensorflow_it_says_what_to_install(tmp_path, capsys):
    assert main(["prepare", "tess", str(tmp_path)]) == 1
    assert "pip install 'audex-jax[prepare]'" in capsys.readouterr().err


@tensorflow
def test_a_folder_that_cannot_be_prepared_is_named(tmp_path, home):
    for words, says in (
        (("tess", str(tmp_path)), "no recordings of TESS in it"),
        (("audio_folder", str(tmp_path / "nowhere")), "no such folder"),
    ):
        done = prepare(home, *words)
        assert done.returncode == 1
        assert says in done.stderr.splitlines()[-1]
    assert not home.exists()
