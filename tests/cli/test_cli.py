"""The commands as a user meets them: what they write, what they say, and what they leave behind when they fail."""

import contextlib
import io
import json
import os

import numpy as np
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import COMMANDS, main

KINDS = ("explanation.wav", "residual.wav", "reconstruction.wav", "attribution.npz", "json", "png")
LEVELS = ("explanation-10.wav", "explanation-50.wav", "residual-10.wav", "residual-50.wav")


@pytest.fixture(scope="module")
def model(mdct_explainer, tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_explainer(directory, mdct_explainer, {"made_by": "test"})
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


@pytest.fixture(scope="module")
def explained(model, tmp_path_factory):
    """Folder, exit code and words of one call: an odd name, a long one, two of one name, one that is no text, a bad."""
    root = tmp_path_factory.mktemp("explained")
    for folder in "ab":
        (root / folder).mkdir()
    inputs = [recording(root / name, 0.5) for name in ("a/x.wav", "b/x.wav", os.fsdecode(b"caf\xe9.wav"))]
    inputs += [recording(root / "a word.wav", 0.8, rate=8000), recording(root / "long.flac", 3.5)]
    bad = root / os.fsdecode(b"na\xefve.wav")
    bad.touch()
    said, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        code = explain(model, root / "out", *inputs, str(bad), options=("--report", "--levels", "10,50"))
    said.seek(0), errors.seek(0)
    return root / "out", code, said.read(), errors.read()


def record_of(out, name: str) -> dict:
    return json.loads((out / f"{name}.json").read_text())


def test_every_recording_gives_all_outputs(explained):
    out, code, said, errors = explained
    stems = ("a word", "a-x", "b-x", os.fsdecode(b"caf\xe9"), "long")
    assert names(out) == sorted(["report.html", *(f"{stem}.{kind}" for stem in stems for kind in KINDS + LEVELS)])
    record = record_of(out, "a word")
    assert f"\n{out.parent / 'a word.wav'}: {record['prediction']!r}" in said
    assert record["prediction"] in ("down", "left", "up")
    assert record["settings"]["steps"] == 8
    assert record["versions"]["jax"]
    assert set(record["level_db"]) == {"recording", "reconstruction", "explanation", "residual"}
    samples, rate = soundfile.read(out / "a word.explanation.wav")
    assert (len(samples), rate) == (800, 1000)
    with np.load(out / "a word.attribution.npz") as stored:
        assert stored["attribution"].shape == stored["mask"].shape == (41, 20)
    assert (out / "a word.png").read_bytes().startswith(b"\x89PNG")
    assert "caf\\udce9.wav: " in said
    assert "na\\udcefve.wav: the file is empty" in errors
    assert record_of(out, os.fsdecode(b"caf\xe9"))["file"] == str(out.parent / os.fsdecode(b"caf\xe9.wav"))
    assert code == 1


def test_a_report_offers_every_level(explained):
    out, _, said, _ = explained
    assert "report.html: 5 recordings" in said
    record = record_of(out, "long")
    assert [[level["keep"] for level in s["levels"]] for s in record["segments"]] == [[0.2, 0.1, 0.5]] * 4
    assert set(record["segments"][0]["explanation_probabilities"]) == {"down", "left", "up"}
    own = ("sufficient", "explanation_probability", "latent_necessary", "explanation_probabilities")
    assert [record[key] for key in own] == [record["levels"][0][key] for key in own]
    assert (out / "report.html").read_text().count('id="clip-') == 5


def test_a_long_recording_is_told_in_segments(explained):
    out, *_ = explained
    record = record_of(out, "long")
    assert [(s["start_seconds"], s["end_seconds"]) for s in record["segments"]] == [(0, 1), (1, 2), (2, 3), (3, 3.5)]
    best = max(record["segments"], key=lambda s: s["prediction_probability"])
    assert record["prediction_probability"] == best["prediction_probability"]
    for kind in ("explanation", "residual", "explanation-10", "residual-50"):
        assert len(soundfile.read(out / f"long.{kind}.wav")[0]) == 3500


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
    assert len(errors) == 6  # that it compiles, one for each, and the sum
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
def test_train_codec_train_and_explain_a_folder(tmp_path, capsys, logged):
    rng, t = np.random.default_rng(0), np.arange(1000) / 1000
    for label, pitch in (("high", 230), ("low", 60)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(12):
            tone = 0.3 * np.sin(2 * np.pi * pitch * t + i) + 0.01 * rng.normal(size=1000)
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", tone, 1000)
    places = ("data", "codec", "explainer", "free", "log-codec", "log")
    data, codec, out, free, log_codec, log = (str(tmp_path / name) for name in places)
    tiny = ["--preset", "tiny", "--steps", "20", "--batch", "4", "--quiet", "--tensorboard", log_codec]
    assert main(["train-codec", data, "--out", codec, *tiny]) == 0
    short = ["--epochs", "12", "--batch", "8", "--width", "32", "--quiet"]
    assert main(["train", data, "--codec", codec, "--out", out, *short, "--tensorboard", log]) == 0
    said = capsys.readouterr().out
    assert "accuracy on the original audio" in said
    assert "file (the names tell no speaker)" in said
    origin = json.loads((tmp_path / "explainer" / "bundle.json").read_text())["origin"]
    assert np.sum(origin["test"]["confusion"]) == origin["test"]["clips"]
    of_codec, of_classifier = logged(tmp_path / "log-codec"), logged(tmp_path / "log")
    assert {("train/mel", 20), ("train/waveform", 10)} <= set(of_codec)
    assert of_codec["reconstruction/0", 20].audio.sample_rate == 1000
    small = "small-transformer"
    expected = {
        (f"{small}/train/loss", 1),
        (f"{small}/validation/accuracy", 1),
        ("test/accuracy", 0),
        ("test/confusion", 0),
    }
    assert expected <= set(of_classifier)
    assert main(["train", data, "--codec", "mdct:1000", "--out", free, *short]) == 0  # a codec without a bundle
    assert json.loads((tmp_path / "free" / "bundle.json").read_text())["origin"]["codec"] == "mdct:1000"
    for model in (out, free):
        assert explain(model, tmp_path / "explained", str(tmp_path / "data" / "high" / "0.wav")) == 0
