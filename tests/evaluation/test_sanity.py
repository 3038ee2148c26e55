"""Sanity checks, localization and the whole check: answers that are known, and a model that has learnt nothing."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from scipy.stats import spearmanr

from audex_jax.bundles import save_explainer
from audex_jax.cli import main
from audex_jax.core.settings import Settings
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import localization, sanity

FILES = [LabelledClip(pathlib.Path(f"{i}.wav"), ("down", "left", "up")[i % 3], None, "test") for i in range(6)]


@pytest.fixture
def words(rng):
    return [np.pad(rng.normal(size=300), (100 * (i % 3), 400)).astype(np.float32) for i in range(6)]


def test_layers_are_shuffled_from_the_output_down(tiny_explainer):
    classifier = tiny_explainer.model.classifier
    stages = sanity.randomised(classifier, jax.random.key(0))
    assert [name for name, _ in stages] == ["intact", "project_out", "layers.0", "all weights"]
    for name, model in stages[1:]:
        kernel, own = (m.project_out.kernel[...] for m in (model, classifier))
        np.testing.assert_array_equal(np.sort(kernel, None), np.sort(own, None))
        assert (kernel != own).any()
        same = (model.project_in.kernel[...] == classifier.project_in.kernel[...]).all()
        assert bool(same) == (name != "all weights")


def test_the_cascade_starts_at_itself(tiny_explainer, words):
    stages = sanity.cascade(tiny_explainer, words[:3], settings=Settings(steps=4))
    assert stages[0].spearman == pytest.approx(1, abs=1e-5)
    assert stages[0].overlap == 1
    assert stages[-1].overlap < 0.9


def test_conclusions_in_both_directions():
    good, bad = (sanity.Stage("all weights", r, o, 0.5) for r, o in ((0.1, 0.3), (0.9, 0.8)))
    assert sanity.assess([good])[0]
    fine, text = sanity.assess([bad])
    assert not fine
    assert "80%" in text


def test_spearman_is_that_of_scipy_without_ties(normal):
    one, other = normal(10, 6), normal(10, 6)
    valid = jnp.arange(10) < 7
    expected = spearmanr(np.asarray(one[:7]).ravel(), np.asarray(other[:7]).ravel()).statistic
    assert float(sanity.spearman(one, other, valid)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", localization.KINDS)
def test_words_lie_where_they_are_said_to_lie(words, kind):
    made = localization.place_words(words, FILES, ("down", "left", "up"), 1000, kind)
    assert made.audio.shape == (6, 1000)
    assert made.target.tolist() == [0, 1, 2, 0, 1, 2]
    assert ((made.against >= 0) & (made.against != made.target)).all() == (kind == "two words")
    for i, audio in enumerate(made.audio):
        assert made.start[i] // 500 == (made.stop[i] - 1) // 500 == i % 2
        loud = np.abs(audio) > 0.02
        inside = np.zeros(1000, bool)
        inside[made.start[i] : made.stop[i]] = True
        assert loud[inside].mean() > 0.5
        other_half = loud[500:] if i % 2 == 0 else loud[:500]
        assert (other_half.mean() > 0.3) == (kind == "two words")
        assert np.square(made.word[i][inside]).sum() == pytest.approx(np.square(made.word[i]).sum())
        noise = (audio - made.word[i])[inside]
        assert (np.abs(noise).max() < 1e-6) == (kind == "silence")


def test_the_loudest_stretch_is_found():
    clip = np.zeros(1000, np.float32)
    clip[600:700] = 1.0
    word = localization.loudest(clip, 200)
    assert (word > 0.5).sum() >= 90
    assert np.sqrt(np.mean(word**2)) == pytest.approx(1, rel=1e-4)


def test_the_auc_of_frames():
    inside, counted = np.array([True, True, False, False]), np.ones(4, bool)
    assert localization.auc(np.array([4.0, 3.0, 2.0, 1.0]), inside, counted) == 1
    assert localization.auc(np.zeros(4), inside, counted) == 0.5
    assert np.isnan(localization.auc(np.zeros(4), inside, ~inside))


def test_the_batch_changes_nothing(tiny_explainer, words):
    made = localization.place_words(words, FILES, tiny_explainer.labels, 1000, "noise")
    settings = Settings(method="expected-gradients", steps=12)
    one, hits = localization.localization_auc(tiny_explainer, made, settings=settings, batch=1)
    other, again = localization.localization_auc(tiny_explainer, made, settings=settings, batch=4)
    np.testing.assert_allclose(one, other, atol=0.02)  # rounding may swap two frames
    np.testing.assert_array_equal(hits, again)


@pytest.mark.slow
def test_a_guessing_model_fails_the_check(tiny_explainer, tmp_path, capsys):
    save_explainer(tmp_path / "m", tiny_explainer, {})
    rng = np.random.default_rng(0)
    lines = ["file,label,split"]
    for i in range(6):
        label = tiny_explainer.labels[i % 3]
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / label / f"{i}.wav", 0.1 * rng.normal(size=800), 1000)
        lines.append(f"{label}/{i}.wav,{label},test")
    (tmp_path / "data" / "splits.csv").write_text("\n".join(lines))
    given = ["check", str(tmp_path / "m"), str(tmp_path / "data"), "--quiet", "--json", str(tmp_path / "f.json")]
    assert main(given) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 8
    assert any(line.startswith("FAIL does the classifier hold") and "chance 0.333" in line for line in said)
    assert (tmp_path / "f.json").exists()
