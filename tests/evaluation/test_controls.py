"""Controls tell a way of explaining that knows something from one that can show whatever it is asked for."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from audex_jax.cli import main
from audex_jax.core.settings import Settings
from audex_jax.evaluation.blocks import explain_all
from audex_jax.evaluation.controls import Controls, run_controls

SETTINGS = Settings(steps=4, ranking="weighted")
DATA = pathlib.Path(__file__).parents[3] / "shared" / "data" / "speech_commands"
ASKED = (
    "is a label that is not in the clip left",
    "does a model of shuffled weights get no",
    "survive when their sound",
)


@pytest.fixture
def clips(rng) -> list[np.ndarray]:
    return [0.1 * rng.normal(size=n).astype(np.float32) for n in (1000, 700, 400)]


@pytest.mark.slow
def test_controls_are_those_of_single_explanations(mdct_explainer, clips):
    found = run_controls(mdct_explainer, clips, SETTINGS)
    explanations = list(explain_all(mdct_explainer, clips, SETTINGS, control=True))
    heard = [np.nan if e.control_heard is None else e.control_heard for e in explanations]
    np.testing.assert_array_equal(found.wrong, heard)
    np.testing.assert_array_equal(found.forced, heard)  # a ranking without steps cannot be forced
    assert found.keep.shape == found.floor_delete.shape == (3,)
    loudest = run_controls(mdct_explainer, clips, dataclasses.replace(SETTINGS, ranking="magnitude"))
    np.testing.assert_array_equal(loudest.keep, found.floor_keep)
    np.testing.assert_array_equal(loudest.keep, loudest.floor_keep)


def test_what_was_never_seen_is_bounded_by_the_number_of_trials():
    none, some = np.zeros(30), np.arange(30) % 2.0
    found = Controls(none, np.full(30, np.nan), some, some, none, some).figures()
    assert (found["wrong"]["mean"], found["wrong"]["high"]) == (0, pytest.approx(0.1))
    assert found["forced"]["clips"] == 0
    assert found["keep_above_floor"]["difference"] == 0.5
    assert found["delete_above_floor"]["p"] is None


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs recordings of Speech Commands, which are not in the package")
@pytest.mark.parametrize(("ranking", "fine"), [("matched-mask", True), ("adversarial-mask", False)])
def test_the_check_tells_the_default_from_an_attack(ranking, fine, tmp_path, capsys):
    out = tmp_path / "findings.json"
    given = ["check", "mini-speech-commands", str(DATA), "--ranking", ranking, "--limit", "24", "--quiet"]
    code = main([*given, "--json", str(out)])
    findings = json.loads(out.read_text())["findings"]
    asked = [f["fine"] for f in findings if any(question in f["question"] for question in ASKED)]
    assert asked == [fine] * 3, capsys.readouterr().out
    assert code == 1 or fine
