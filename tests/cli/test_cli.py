"""The commands as a user meets them: what they write, what they say, and what they leave behind when they fail."""

import importlib.util
import json
import os

import numpy as np
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import COMMANDS, main

KINDS = ("explanation.wav", "residual.wav", "reconstruction.wav", "attribution.npz", "json", "png")


@pytest.fixture(scope="module")
def model(tiny_explainer, tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_explainer(directory, tiny_explainer, {"made_by": "test"})
    return str(directory)


def recording(path, seconds: float, rate: int = 1000, level: float = 0.1) -> str:
    rng = np.random.default_rng(len(path.name))
    soundfile.write(os.fsencode(path), level * rng.normal(size=round(seconds * rate)), rate, format=path.suffix[1:])
    return str(path)


def explain(model: str, out, *inputs: str, options: tuple[str, ...] = ()) -> int:
    return main(
        ["explain", *inputs, "--out", str(out), "--model", model, "--steps", "8", "--ranking", "weighted", *options]
    )


def names(out) -> list[str]:
    return sorted(os.listdir(out)) if out.exists() else []


def test_one_recording_gives_all_outputs(tmp_path, model, capsys):
    path = recording(tmp_path / "a word.wav", 0.8, rate=8000)
    assert explain(model, tmp_path / "out", path) == 0
    assert names(tmp_path / "out") == sorted(f"a word.{kind}" for kind in KINDS)
    said = capsys.readouterr().out
    assert said.startswith(path)
    record = json.loads((tmp_path / "out" / "a word.json").read_text())
    assert record["prediction"] in ("down", "left", "up")
    assert record["settings"]["steps"] == 8
    assert record["versions"]["jax"]
    assert set(record["level_db"]) == {"recording", "reconstruction", "explanation", "residual"}
    samples, rate = soundfile.read(tmp_path / "out" / "a word.explanation.wav")
    assert (len(samples), rate) == (800, 1000)
    with np.load(tmp_path / "out" / "a word.attribution.npz") as stored:
        assert stored["attribution"].shape == stored["mask"].shape == (80, 6)
    assert (tmp_path / "out" / "a word.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_is_no_text_is_explained_and_shown(tmp_path, model, capsys):
    path = recording(tmp_path / os.fsdecode(b"caf\xe9.wav"), 0.8, rate=8000)
    broken = tmp_path / os.fsdecode(b"na\xefve.wav")
    broken.touch()
    assert explain(model, tmp_path / "out", path, str(broken), options=("--report",)) == 1
    assert {os.fsdecode(b"caf\xe9.") + kind for kind in KINDS} | {"report.html"} <= set(names(tmp_path / "out"))
    said = capsys.readouterr()
    assert "caf\\udce9.wav: " in said.out
    assert "na\\udcefve.wav: the file is empty" in said.err
    assert json.loads((tmp_path / "out" / os.fsdecode(b"caf\xe9.json")).read_text())["file"] == path


def test_a_report_offers_every_level(tmp_path, model, capsys):
    path = recording(tmp_path / "long.wav", 1.5)
    assert explain(model, tmp_path / "out", path, options=("--report", "--levels", "10,50")) == 0
    assert "report.html: 1 recordings" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "long.json").read_text())
    assert [[level["keep"] for level in s["levels"]] for s in record["segments"]] == [[0.2, 0.1, 0.5]] * 2
    assert set(record["segments"][0]["explanation_probabilities"]) == {"down", "left", "up"}
    own = ("sufficient", "explanation_probability", "latent_necessary", "explanation_probabilities")
    assert [record[key] for key in own] == [record["levels"][0][key] for key in own]
    for kind in ("explanation-10", "explanation-50", "residual-10", "residual-50"):
        assert len(soundfile.read(tmp_path / "out" / f"long.{kind}.wav")[0]) == 1500
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('id="clip-') == 1
    assert names(tmp_path / "out").count("report.html") == 1


def test_a_long_recording_is_told_in_segments(tmp_path, model):
    path = recording(tmp_path / "long.flac", 2.5)
    assert explain(model, tmp_path / "out", path) == 0
    record = json.loads((tmp_path / "out" / "long.json").read_text())
    assert [(s["start_seconds"], s["end_seconds"]) for s in record["segments"]] == [(0, 1), (1, 2), (2, 2.5)]
    best = max(record["segments"], key=lambda s: s["prediction_probability"])
    assert record["prediction_probability"] == best["prediction_probability"]
    assert len(soundfile.read(tmp_path / "out" / "long.explanation.wav")[0]) == 2500


def test_bad_recordings_do_not_stop_the_good_ones(tmp_path, model, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    recording(folder / "good.wav", 0.5)
    recording(folder / "short.wav", 0.01)
    recording(folder / "silence.wav", 0.5, level=0)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not audio " * 100)
    soundfile.write(folder / "nan.wav", np.full(500, np.nan), 1000, subtype="FLOAT")
    assert explain(model, tmp_path / "out", str(folder), options=("--json",)) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["file"].split(os.sep)[-1] for line in said.out.splitlines()] == ["good.wav", "silence.wav"]
    assert json.loads(said.out.splitlines()[1])["silent"]
    errors = said.err.strip().splitlines()
    assert len(errors) == 5  # one for each, and the sum
    for name, fault in (("empty", "empty"), ("nan", "not finite"), ("short", "10 ms"), ("text", "not readable")):
        assert sum(f"{name}.wav" in line and fault in line for line in errors) == 1
    assert errors[-1].endswith("4 of 6 inputs could not be explained")
    assert {name.split(".")[0] for name in names(tmp_path / "out")} == {"good", "silence"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["in.wav", "--target", "sideways"], 2, "no label 'sideways'; it knows down, left, up"),
        (["in.wav", "--keep", "2"], 2, "keep is 2.0"),
        (["in.wav", "--steps", "0"], 2, "steps is 0"),
        (["missing.wav"], 1, "missing.wav: no such file or folder"),
        (["void"], 1, "void: no audio in this folder"),
        (["in.wav", "--model", "nothing"], 1, "nothing: not a bundle"),
        (["in.wav", "--out", "in.wav"], 1, "in.wav"),
    ],
)
def test_wrong_usage_and_failures_have_one_line_and_an_exit_code(
    tmp_path, model, capsys, monkeypatch, arguments, code, says
):
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "in.wav", 0.5)
    (tmp_path / "void").mkdir()
    given = ["explain", "--out", "out", "--model", model, *arguments]
    assert main(given) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert says in said.err
    assert names(tmp_path / "out") == []


def test_recordings_of_one_name_do_not_overwrite_each_other(tmp_path, model):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = [recording(tmp_path / folder / "x.wav", 0.5) for folder in ("a", "b")]
    assert explain(model, tmp_path / "out", *paths) == 0
    assert {name.split(".")[0] for name in names(tmp_path / "out")} == {"a-x", "b-x"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"\n  audex {command}" in capsys.readouterr().out.split("\nexample")[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "audex: the following arguments are required: COMMAND; see `audex --help`"),
        (["explode"], "audex explode: argument COMMAND: invalid choice: 'explode'"),
        (["explain"], "audex explain: the following arguments are required: INPUT, --out; see `audex explain --help`"),
        (["explain", "x", "--out", "y", "--loud"], "audex explain: unrecognized arguments: --loud"),
        (["explain", "x", "--out", "y", "--method", "guess"], "argument --method: invalid choice: 'guess'"),
        (["explain", "x", "--out", "y", "--keep", "much"], "argument --keep: 'much' is not a number"),
        (["explain", "x", "--out", "y", "--levels", "5,110"], "argument --levels: 5,110: give percentages"),
        (["explain", "x", "--out", "y", "--levels", "few"], "argument --levels: few: give percentages"),
        (["report", "x", "--most", "0"], "argument --most: '0' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(arguments, says, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert says in said.err


@pytest.mark.slow
def test_train_codec_train_and_explain_a_folder(tmp_path, capsys, request):
    rng = np.random.default_rng(0)
    for label, pitch in (("high", 230), ("low", 60)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(12):
            t = np.arange(1000) / 1000
            tone = 0.3 * np.sin(2 * np.pi * pitch * t + i) + 0.01 * rng.normal(size=1000)
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", tone, 1000)
    data, codec, out, free = (str(tmp_path / name) for name in ("data", "codec", "explainer", "free"))
    can_log = importlib.util.find_spec("tensorboardX") is not None
    log_codec, log = (["--tensorboard", str(tmp_path / name)] if can_log else [] for name in ("log-codec", "log"))
    tiny = ["--preset", "tiny", "--steps", "20", "--batch", "4", "--quiet", *log_codec]
    assert main(["train-codec", data, "--out", codec, *tiny]) == 0
    short = ["--epochs", "12", "--batch", "8", "--width", "32", "--quiet"]
    assert main(["train", data, "--codec", codec, "--out", out, *short, *log]) == 0
    said = capsys.readouterr().out
    assert "accuracy on the original audio" in said
    assert "file (the names tell no speaker)" in said
    origin = json.loads((tmp_path / "explainer" / "bundle.json").read_text())["origin"]
    assert np.sum(origin["test"]["confusion"]) == origin["test"]["clips"]
    if can_log:
        logged = request.getfixturevalue("logged")
        of_codec, of_classifier = logged(tmp_path / "log-codec"), logged(tmp_path / "log")
        assert {("train/mel", 20), ("train/waveform", 10)} <= set(of_codec)
        assert of_codec["reconstruction/0", 20].audio.sample_rate == 1000
        expected = {("train/loss", 1), ("validation/accuracy", 1), ("test/accuracy", 0), ("test/confusion", 0)}
        assert expected <= set(of_classifier)
    assert main(["train", data, "--codec", "mdct:1000", "--out", free, *short]) == 0  # a codec without a bundle
    assert json.loads((tmp_path / "free" / "bundle.json").read_text())["origin"]["codec"] == "mdct:1000"
    for model in (out, free):
        assert explain(model, tmp_path / "explained", str(tmp_path / "data" / "high" / "0.wav")) == 0
