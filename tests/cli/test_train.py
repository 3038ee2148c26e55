"""`audex train` for every family, and strangers."""

import json

import numpy as np
import pytest
import soundfile

from audex_jax.bundles import load_explainer
from audex_jax.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Tones of two pitches in noise, 0.2 s at 1 kHz."""
    rng, t, folder = np.random.default_rng(0), np.arange(200) / 1000, tmp_path_factory.mktemp("data")
    for label, pitch in (("high", 230), ("low", 60)):
        (folder / label).mkdir()
        for i in range(12):
            soundfile.write(
                folder / label / f"{i}.wav", 0.3 * np.sin(2 * np.pi * pitch * t + i) + 0.01 * rng.normal(size=200), 1000
            )
    return folder


@pytest.mark.slow
def test_strangers_are_trained_apart_and_once(data, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["train", str(data), "--codec", "mdct:1000", "--out", str(out), "--width", "8", "--epochs", "3"]
    given += ["--batch", "8", "--variants", "3", "--quiet", "--strangers"]
    assert main([*given, "1"]) == 0
    first = (out / "1-transformer" / "bundle.json").stat().st_mtime_ns
    assert main([*given, "3"]) == 0
    assert f"{out / '1-transformer'}: was trained before" in capsys.readouterr().out
    assert (out / "1-transformer" / "bundle.json").stat().st_mtime_ns == first
    names = ("1-transformer", "2-conv", "3-log-mel")
    assert sorted(p.name for p in out.iterdir()) == list(names)
    for number, name in enumerate(names, start=1):
        explainer = load_explainer(out / name)
        recipe = json.loads((out / name / "bundle.json").read_text())["origin"]["recipe"]
        assert recipe["seed"] == number
        assert explainer.model.classifier.reads == ("audio" if name == "3-log-mel" else "latent")
        explanation = explainer.explain(soundfile.read(data / "low" / "0.wav", dtype="float32")[0], steps=2)
        assert explanation.prediction in ("high", "low")
    kept = sorted(p.name.rsplit("-", 1)[0] for p in (tmp_path / "out.training").glob("*.npz"))
    assert kept == sorted(f"{kind}-{split}" for kind in ("latent", "audio") for split in ("train", "val", "test"))
    assert main([*given, "1", "--seed", "7"]) == 2
    assert "by another recipe; choose another --out" in capsys.readouterr().err
    assert main([*given, "1", "--start", str(out / names[0])]) == 2


@pytest.mark.slow
def test_a_classifier_of_audio_learns_what_a_folder_says(data, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["train", str(data), "--codec", "mdct:1000", "--out", str(out), "--classifier", "log-mel", "--quiet"]
    given += ["--epochs", "15", "--batch", "4", "--variants", "2", "--learning-rate", "5e-3"]
    assert main(given) == 0
    assert json.loads((out / "bundle.json").read_text())["origin"]["test"]["accuracy"] >= 0.75
    assert np.abs(np.asarray(load_explainer(out).model.mean_latent)).max() > 0


def test_a_label_without_test_clips_is_warned_of_wherever_the_model_is_used(data, tmp_path, capsys):
    lines = [
        f"{label}/{i}.wav,{label},{('train', 'val', 'test')[i % 3]}" for label in ("high", "low") for i in range(12)
    ]
    (tmp_path / "data").mkdir()
    for label in ("high", "low"):
        (tmp_path / "data" / label).symlink_to(data / label)
    table = "\n".join(["file,label,split", *(line for line in lines if not line.endswith("low,test"))])
    (tmp_path / "data" / "splits.csv").write_text(table)
    given = ["train", str(tmp_path / "data"), "--codec", "mdct:1000", "--out", str(tmp_path / "m"), "--quiet"]
    given += ["--classifier", "linear", "--variants", "1"]
    assert main(given) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:4] == ["label train val test", "high      4   4    4", "low       4   4    0",
                                         "all       8   8    4"]  # fmt: skip
    assert "warning: The test split has no clips of low." in said.err
    assert main([*given, "--strict"]) == 1
    assert "The test split has no clips of low." in (tmp_path / "m" / "README.md").read_text()
    assert load_explainer(tmp_path / "m").warnings[0] == "The test split has no clips of low."
    capsys.readouterr()
    assert main(["models", str(tmp_path / "m")]) == 0
    assert "WARNING     The test split has no clips of low." in capsys.readouterr().out


@pytest.mark.slow
def test_a_network_that_is_no_better_than_loudness_is_not_written(data, tmp_path, capsys):
    given = ["train", str(data), "--codec", "mdct:1000", "--out", str(tmp_path / "model"), "--classifier", "linear"]
    assert main([*given, "--quiet"]) == 0
    out = tmp_path / "fast"
    given = ["train-explainer", str(data), "--model", str(tmp_path / "model"), "--out", str(out), "--quiet"]
    assert main([*given, "--steps", "2", "--batch", "4", "--learning-rate", "0"]) == 1
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[-3:]] == ["ranking", "amortised", "magnitude"]
    assert "not written: on" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not out.exists()
    assert main(["explain", str(data / "low" / "0.wav"), "--model", str(tmp_path / "model"), "--ranking", "amortised",
                 "--out", str(tmp_path / "explained")]) == 1  # fmt: skip
    assert "no network for the ranking amortised; train one with audex train-explainer" in capsys.readouterr().err
