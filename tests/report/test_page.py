"""The report's file, without a browser: what is in it, what stays out of it, and what happens to broken folders."""

import base64
import io
import json
import os
import re

import numpy as np
import pytest
import soundfile

import audex_jax as audex
from audex_jax.cli import main
from audex_jax.explain.verdict import KINDS, verdict
from audex_jax.report import page as page_module
from audex_jax.report.attached import explanation_html  # gives explanations what a notebook calls
from audex_jax.report.folder import read_clip
from audex_jax.report.page import document, embed, write_report

from .conftest import record


def data_of(text: str, identifier: str) -> dict:
    return json.loads(re.search(rf'<script type="application/json" id="{identifier}">(.*?)</script>', text)[1])


@pytest.fixture
def folder(tmp_path, explained_folder):
    return explained_folder(tmp_path / "explained", ["a.wav", "b.wav", "c.wav"])


def test_the_page_holds_every_sound_and_fact(folder):
    written = write_report(folder, folder / "report.html", title="A <title> & more")
    assert (written.clips, written.assets, written.faults) == (3, None, ())
    text = (folder / "report.html").read_text()
    assert "<title>A &lt;title&gt; &amp; more</title>" in text
    index = data_of(text, "index")
    assert [row[0] for row in index["rows"]] == ["a.wav", "b.wav", "c.wav"]
    assert [index["labels"][row[2]] for row in index["rows"]] == ["no", "stop", "yes"]
    clip = data_of(text, "clip-1")
    assert {track: len(files) for track, files in clip["sounds"].items()} == {
        "original": 1, "reconstruction": 1, "explanation": 4, "residual": 4,
    }  # fmt: skip
    assert [level["keep"] for level in clip["segments"][0]["levels"]] == [0.05, 0.1, 0.2, 0.4]
    for level, percent in enumerate(("-5", "-10", "", "-40")):
        samples, rate = soundfile.read(
            io.BytesIO(base64.b64decode(clip["sounds"]["explanation"][level])), dtype="int16"
        )
        stored, stored_rate = soundfile.read(folder / f"clip-0001.explanation{percent}.wav", dtype="int16")
        assert rate == stored_rate
        np.testing.assert_array_equal(samples, stored)


def test_the_evidence_adds_up_to_the_attribution(folder):
    write_report(folder, folder / "report.html")
    clip = data_of((folder / "report.html").read_text(), "clip-0")
    shown = (
        np.frombuffer(base64.b64decode(clip["evidence"]["bytes"]), np.int8).reshape(-1, 2)
        * clip["evidence"]["scale"]
        / 127
    )
    attribution = np.load(folder / "clip-0000.attribution.npz")["attribution"]
    tolerance = clip["evidence"]["scale"] / 127
    np.testing.assert_allclose(shown[:, 0], np.maximum(attribution, 0).sum(1), atol=tolerance)
    np.testing.assert_allclose(shown[:, 1], np.minimum(attribution, 0).sum(1), atol=tolerance)


def test_nothing_points_to_the_network_and_only_our_script_may_run(folder):
    write_report(folder, folder / "report.html")
    text = (folder / "report.html").read_text()
    assert "http:" not in text
    assert "https:" not in text
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]
    assert "unsafe" not in policy
    assert policy.startswith("default-src &#x27;none&#x27;")
    assert text.count("<script>") == 1


def test_markup_cannot_leave_its_place():
    evil = "</script><script>alert(1)</script>&<!--"
    assert "<" not in embed([evil])
    assert json.loads(embed([evil])) == [evil]
    assert "<script>alert" not in document(evil, {"rows": [evil]}, [embed([evil])])


def test_sounds_beside_the_page(folder, monkeypatch):
    written = write_report(folder, folder / "report.html", beside=True)
    assert written.assets == folder / "report_files"
    assert sorted(os.listdir(written.assets)) == ["0.js", "1.js", "2.js"]
    assert data_of((folder / "report.html").read_text(), "index")["assets"] == "report_files"
    assert "clip-0" not in (folder / "report.html").read_text()
    content = json.loads((written.assets / "2.js").read_text().removeprefix("audexClip(2,").removesuffix(")"))
    assert len(content["sounds"]["residual"]) == 4
    small = (folder / "report.html").stat().st_size
    monkeypatch.setattr(page_module, "INSIDE_BYTES", 100_000)  # more than one clip takes, less than all
    written = write_report(folder, folder / "again.html")
    assert sorted(os.listdir(written.assets)) == ["0.js", "1.js", "2.js"]
    assert (folder / "again.html").stat().st_size == pytest.approx(small, abs=20)


def test_a_folder_of_something_else_is_left_alone(folder, capsys):
    (folder / "report_files").mkdir()
    (folder / "report_files" / "thesis.tex").write_text("years of work")
    before = sorted(os.listdir(folder))
    assert main(["report", str(folder), "--assets"]) == 1
    assert "report_files: it is in the way" in capsys.readouterr().err
    assert (folder / "report_files" / "thesis.tex").exists()
    assert sorted(os.listdir(folder)) == before


def test_a_recording_that_went_away_is_left_out(folder):
    for path in (folder.parent / "explained-in").iterdir():
        path.unlink()
    assert "original" not in read_clip(folder / "clip-0000.json").sounds
    assert write_report(folder, folder / "report.html").clips == 3


def test_broken_records_are_named_and_do_not_stop_the_others(folder, capsys):
    (folder / "clip-0000.json").write_text("{")
    (folder / "clip-0002.explanation-5.wav").unlink()
    old = json.loads((folder / "clip-0001.json").read_text())
    del old["convergence"]
    (folder / "clip-0003.json").write_text(json.dumps(old))
    (folder / "clip-0003.attribution.npz").touch()
    (folder / "notes.json").write_text("not ours")
    assert main(["report", str(folder)]) == 1
    said = capsys.readouterr()
    assert "1 recordings" in said.out
    errors = said.err.splitlines()
    assert len(errors) == 3
    assert "clip-0003.json: not a whole explanation (ReportError: it lacks convergence)" in errors[2]
    assert "clip-0000.json: not a whole explanation (FileError" in errors[0]
    assert "clip-0002.json" in errors[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere", "--out", "r.html"], 1, "nowhere"),
        (["void", "--out", "r.html"], 1, "void"),
        (["broken", "--out", "r.html"], 1, "none of its 1 explanations"),
        (["broken", "--out", "report.pdf"], 2, "must end in .html"),
    ],
)
def test_what_no_report_can_be_made_of_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    for name in ("void", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "x.json").write_text("[]")
    (tmp_path / "broken" / "x.attribution.npz").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", *arguments]) == code
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({}, "holds", "is still classified as 'stop' (0.60), the residual is not; both hold when moved"),
        ({"necessary": False}, "shared", "but so is the residual"),
        (
            {"sufficient": False, "explanation_probabilities": {"go": 0.6, "no": 0.1}},
            "lost",
            "is not classified as 'stop' but as 'go' (0.60)",
        ),
        ({"reconstruction_agrees": False}, "codec", "The codec alone changes the decision"),
        ({"silent": True}, "silent", "no sound"),
        ({}, "holds", "Control: asked for 'no', which is not there, the same method makes a sound that is not"),
        (
            {"sufficient_shifted": False},
            "artefact",
            "moved by half a frame, the explanation is not classified as 'stop'",
        ),
        ({"necessary_shifted": False}, "artefact", "moved by half a frame, the residual is classified as 'stop'"),
        ({"necessary": False, "necessary_shifted": False}, "shared", "but so is the residual"),
        (
            {"reconstruction_agrees_shifted": False, "sufficient_shifted": False},
            "codec",
            "where the codec's frames begin",
        ),
        (
            {"control_heard": True, "control_probability": 0.97},
            "anything",
            "asked for 'no', which is not in the recording",
        ),
        ({"control_target": None, "control_heard": None}, "holds", "both hold"),
        ({"control_probability": None}, "holds", "asked for 'no', which is not there, the same method keeps nothing."),
        (
            {"target": "go", "target_probability": 0.01, "explanation_probability": 0.95},
            "made-up",
            "The evidence for 'go' is made up: the recording gives it 0.01, the explanation 0.95.",
        ),
        (
            {
                "versus": "no",
                "versus_probabilities": {"reconstruction": 0.09, "explanation": 0.06, "residual": 0.4},
            },
            "holds",
            "'stop' rather than 'no': the odds are 10 for the reconstruction, 10 for the explanation, 0.25 for the",
        ),
        ({"target": "go", "target_absent": True, "sufficient": False}, "absent", "that speaks for 'go', so nothing is"),
        ({"sound_alone": True}, "holds", "does not tell its hidden features"),
        ({"adversarial": True}, "attack", "it is an attack, not an explanation"),
        ({"converged": False, "convergence": "Off."}, "holds", "Do not trust single elements. Off."),
        (
            {"target": "go", "target_probability": 0.2},
            "holds",
            "You asked about 'go': its probability is 0.20 for the recording and 0.60 for the explanation",
        ),
    ],
)
def test_the_verdict_in_words(change, kind, says):
    judged = verdict(record(1, "x.wav", ("no", "stop")) | change)
    assert judged.kind == kind
    assert judged.kind in KINDS
    assert says in " ".join((judged.headline, *judged.reasons))


def test_a_notebook_shows_verdict_players_and_picture(mdct_explainer):
    rng = np.random.default_rng(0)
    explanation = mdct_explainer.explain(0.1 * rng.normal(size=800).astype(np.float32), steps=8, ranking="weighted")
    shown = explanation_html(explanation)
    assert audex.Explanation._repr_html_(explanation) == shown
    assert shown.count("<audio controls") == 4
    assert "data:image/png;base64," in shown
    assert "http" not in shown
    assert "The " in re.search(r"<b>(.*?)</b>", shown)[1]
