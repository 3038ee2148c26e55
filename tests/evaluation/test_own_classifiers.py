"""A classifier of audio of one's own is evaluated and checked like any other, with a gradient and without."""

import numpy as np
import pytest
import soundfile

from audex_jax.adapters.explainers import from_function
from audex_jax.adapters.host import HostClassifier
from audex_jax.adapters.reading import Reading
from audex_jax.core.settings import Settings
from audex_jax.evaluation.check import check
from audex_jax.evaluation.folder import clips_of
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import evaluate
from audex_jax.evaluation.summary import curves_of
from audex_jax.explain.explainer import Explainer

LABELS = ("early", "late")


def by_numpy(audio):
    return 5 * np.stack([np.square(audio[:, :150]).sum(1), np.square(audio[:, 150:]).sum(1)], 1)


def pull_back(audio, cotangent):
    return 10 * audio * np.where(np.arange(audio.shape[1]) < 150, cotangent[:, :1], cotangent[:, 1:])


@pytest.fixture
def folder(tmp_path, rng):
    """Three recordings a label, loud in one half."""
    for label, start in (("early", 40), ("late", 200)):
        (tmp_path / label).mkdir()
        for number in range(3):
            clip = 0.02 * rng.normal(size=300)
            clip[start : start + 60] *= 30
            soundfile.write(tmp_path / label / f"{number}.wav", clip, 1000, subtype="FLOAT")
    rows = (f"{label}/{n}.wav,{label},{'test' if n else 'train'}" for label in LABELS for n in range(3))
    (tmp_path / "splits.csv").write_text("\n".join(["file,label,split", *rows]))
    return tmp_path


def explainer(gradient: bool) -> Explainer:
    plain = from_function(by_numpy, LABELS, 1000, clip_seconds=0.3)
    how = {"source": 1000, "rate": 1000, "reading": Reading(), "labels": 2, "fingerprint": "halves"}
    classifier = HostClassifier(by_numpy, pull_back if gradient else None, **how)
    return Explainer(plain.model._replace(classifier=classifier), LABELS, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", [True, False])
def test_they_are_evaluated(folder, gradient):
    own = explainer(gradient)
    files = clips_of(own, folder, "test", None)
    scores = evaluate(own, files, Plan(("matched-mask", "magnitude"), ("zero",), (0.4,), 1, steps=4, mask_steps=1))
    assert (scores.predicted == scores.label).all()
    kept = curves_of(scores)[0].agrees[:, 1, 0, 1].mean()
    assert kept == 1


@pytest.mark.slow
def test_a_classifier_without_weights_is_not_asked_about_shuffled_ones(folder):
    own = explainer(False)
    findings = check(own, clips_of(own, folder, "test", None), Settings(keep=0.4, budget=64))
    said = [finding.question for finding in findings]
    assert not any("shuffled" in question or "knows nothing" in question for question in said)
    assert any("label that is not in the clip" in question for question in said)
