"""What the page holds and what it does not: all sounds at one level, and nothing that tells the methods apart."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import main
from audex_jax.core.errors import AudexError
from audex_jax.study.key import StudyError, read_key
from audex_jax.study.make import recordings_of
from audex_jax.study.plan import StudyPlan


def content_of(page) -> dict:
    return json.loads(re.search(r'id="study">(.*?)</script>', page.read_text())[1])


def samples_of(content: dict, name: str) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content["sounds"][name])))
    assert rate == content["rate"]
    return samples


def test_the_page_tells_neither_method_nor_recording(make_study, tmp_path):
    written = make_study()
    text = written.page.read_text()
    key = read_key(tmp_path / "study")
    told = {name: value for name, value in content_of(written.page).items() if name != "sounds"}
    for word in ("signed", "random", "waveform", "input", "method", "key.json", "made-up", "yes-"):
        assert word not in json.dumps(told)
    for word in ("signed", "waveform", "input-ig", "key.json", "made-up", "yes-", "http:", "https:"):
        assert word not in text
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["key.json", "study.html"]
    assert set(content_of(written.page)["sounds"]) == set(key["sounds"])
    assert list(content_of(written.page)["sounds"]) == sorted(key["sounds"])  # not in the order of the methods
    assert all(re.fullmatch("[0-9a-f]{8}", name) for name in key["sounds"])
    assert "unsafe" not in re.search(r'Content-Security-Policy" content="(.*?)"', text)[1]


def test_sheets_lead_through_the_key_to_the_design(make_study, tmp_path):
    content, key = content_of(make_study().page), read_key(tmp_path / "study")
    heard = []
    for sheet in content["sheets"]:
        named = [key["sounds"][name] for name in sheet["naming"]]
        assert sorted(sound["clip"] for sound in named) == [0, 1, 2]
        heard += [(sound["clip"], sound["method"]) for sound in named]
        for first, second, recording, label in sheet["comparing"]:
            sounds = [key["sounds"][name] for name in (first, second, recording)]
            assert len({sound["clip"] for sound in sounds}) == 1
            assert sounds[2]["method"] == "recording"
            assert content["labels"][label] == key["clips"][sounds[0]["clip"]]["target"]
    assert {heard.count(one) for one in heard} == {2}  # six listeners, three methods


def test_all_sounds_of_a_clip_have_one_level(make_study):
    content = content_of(make_study().page)
    levels = [np.sqrt(np.mean(np.square(samples_of(content, name)))) for name in content["sounds"]]
    np.testing.assert_allclose(20 * np.log10(levels), -23, atol=0.02)


def test_the_same_command_makes_the_same_study_and_no_other_takes_its_place(make_study, tmp_path):
    page = make_study().page
    before = page.read_text(), read_key(tmp_path / "study")
    make_study()
    assert (page.read_text(), read_key(tmp_path / "study")) == before
    with pytest.raises(StudyError, match="the key of another study"):
        make_study(seed=1)
    assert (page.read_text(), read_key(tmp_path / "study")) == before
    other = content_of(make_study(tmp_path / "other", seed=1).page)
    assert set(other["sounds"]).isdisjoint(before[1]["sounds"])


def test_a_study_of_one_method_only_asks_for_names(make_study):
    written = make_study(methods=("signed",), listeners=2)
    assert (written.questions, written.listeners) == (3, 2)
    assert all(sheet["comparing"] == [] for sheet in content_of(written.page)["sheets"])


def test_listeners_are_rounded_up_to_a_balanced_number():
    assert StudyPlan(methods=("signed", "random", "input-ig"), listeners=7).planned_listeners == 12


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"methods": ("guessing",)}, "no method 'guessing'; choose from absolute"),
        ({"methods": ()}, "no methods given"),
        ({"methods": ("input-ig", "waveform-ig")}, "two of them are the same"),
        ({"clips": 0}, "give 1 to 1000 clips"),
        ({"listeners": 100_000}, "1 to 10000 listeners"),
        ({"keep": 0.0}, "keep is 0.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_plans_that_cannot_be_are_refused(fields, says):
    with pytest.raises(AudexError, match=says):
        StudyPlan(**fields)


def test_recordings_are_taken_in_turn_from_each_label(tmp_path):
    lines = ["file,label,split"]
    for label, count in (("a", 5), ("b", 2)):
        (tmp_path / label).mkdir()
        for i in range(count):
            soundfile.write(tmp_path / label / f"{i}.wav", np.ones(100), 1000)
            lines.append(f"{label}/{i}.wav,{label},test")
    (tmp_path / "splits.csv").write_text("\n".join(lines))
    found = recordings_of(str(tmp_path), "test", seed=0)
    assert sorted(r.label for r in found[:2]) == sorted(r.label for r in found[2:4]) == ["a", "b"]
    assert len(set(found)) == 7
    with pytest.raises(StudyError, match="no clips in the val split"):
        recordings_of(str(tmp_path), "val", seed=0)
    plain = recordings_of(str(tmp_path / "a"), "test", seed=0)
    assert {r.label for r in plain} == {None}
    assert len(plain) == 5


@pytest.fixture
def recordings(tmp_path, rng):
    (tmp_path / "in").mkdir()
    for i in range(3):
        soundfile.write(tmp_path / "in" / f"{i}.wav", 0.1 * rng.normal(size=700), 1000)
    soundfile.write(tmp_path / "in" / "silence.wav", np.zeros(700), 1000)
    return tmp_path / "in"


@pytest.mark.slow
def test_the_command_explains_by_every_kind_of_method(tmp_path, recordings, tiny_explainer, capsys):
    save_explainer(tmp_path / "tiny", tiny_explainer, {"made_by": "test"})
    common = [str(recordings), "--model", str(tmp_path / "tiny"), "--listeners", "2", "--quiet"]
    methods = ["--methods", "weighted,random,input-ig,reconstruction"]
    assert main(["study", *common, *methods, "--out", str(tmp_path / "out")]) == 0
    assert "3 clips by 4 methods, 6 questions for each listener, numbers 1 to 12" in capsys.readouterr().out
    key, content = read_key(tmp_path / "out"), content_of(tmp_path / "out" / "study.html")
    assert all(clip["target"] in tiny_explainer.labels for clip in key["clips"])
    for clip in range(3):
        of = {s["method"]: samples_of(content, n) for n, s in key["sounds"].items() if s["clip"] == clip}
        assert set(of) == {"weighted", "random", "input-ig", "reconstruction", "recording"}
        assert {len(sound) for sound in of.values()} == {700}
        silenced = np.mean(of["input-ig"] == 0)  # of the sound's samples, 20 % were kept
        assert silenced == pytest.approx(0.8, abs=0.02)
        similar = [np.corrcoef(of["weighted"], of[other])[0, 1] for other in ("weighted", "random", "reconstruction")]
        assert similar[0] > max(similar[1:])


def test_the_command_fails_in_one_line_and_leaves_nothing(tmp_path, recordings, tiny_explainer, capsys):
    save_explainer(tmp_path / "tiny", tiny_explainer, {"made_by": "test"})
    common = ["--model", str(tmp_path / "tiny"), "--out", str(tmp_path / "out"), "--quiet"]
    silence = str(recordings / "silence.wav")
    for arguments, code, says in (
        ([silence], 1, "none of 1 recordings holds any sound"),
        ([str(tmp_path / "gone")], 1, "no such file or folder"),
        ([silence, "--methods", "guessing"], 2, "no method 'guessing'"),
        ([silence, "--listeners", "0"], 2, "0 listeners"),
    ):
        assert main(["study", *arguments, *common]) == code
        said = capsys.readouterr().err
        assert says in said
        assert len(said.splitlines()) == 1
        assert not (tmp_path / "out").exists()
