"""The ladder of classifiers: the linear one learns from a few clips, the best in validation wins, doubts are told."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.classifiers.linear import LinearConfig, LinearProbe
from audex_jax.codecs.mdct import MDCT, MDCTConfig
from audex_jax.core.registry import METHODS
from audex_jax.core.settings import Settings
from audex_jax.data.folder import LabelledClip, LabelledFolder
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model
from audex_jax.training import ladder
from audex_jax.training.card import at_chance, card, doubts, figures, missing, table_of
from audex_jax.training.inputs import Inputs
from audex_jax.training.ladder import Rung, best, climb
from audex_jax.training.linear import fit_linear
from audex_jax.training.recipes import ClassifierRecipe

RECIPE = ClassifierRecipe(epochs=2, edited=0.2)


def sounds(rng, clips: int, variants: int = 2) -> Inputs:
    """Latents `[clips, v, 20, 6]` of two classes, whose frames are loud in one half of the dimensions or the other."""
    labels = np.arange(clips) % 2
    loud = np.where((np.arange(6) < 3) == labels[:, None], 1.0, 0.1)
    values = rng.normal(size=(clips, variants, 20, 6)) * loud[:, None, None]
    return Inputs(values.astype(np.float32), np.full((clips, variants), 20), labels)


def config_of(kind):
    fields = {"dim": 6, "classes": 2, "frames": 20, "width": 8, "feed_forward": 8, "heads": 2}
    known = {field.name for field in dataclasses.fields(kind.config_class)}
    return kind.config_class.from_dict({name: value for name, value in fields.items() if name in known})


def test_a_dozen_clips_are_enough_for_the_linear_classifier(rng):
    train, val, test = sounds(rng, 12), sounds(rng, 10).flat(), sounds(rng, 40).flat()
    done = []
    found = fit_linear(LinearConfig(6, 2), RECIPE, train, val, done.append)
    assert (ladder.logits_of(found, test).argmax(-1) == test.labels).mean() > 0.95
    assert done == list(range(1, len(done) + 1))


def test_statistics_are_those_of_frames_that_sound(normal):
    probe, clip = LinearProbe(LinearConfig(6, 2, companding=0.0), rngs=None), normal(30, 6)
    quiet = jnp.concatenate([clip, 1e-4 * normal(30, 6)])
    loud, both = (np.asarray(probe.statistics(z, jnp.ones(len(z), bool))) for z in (clip, quiet))
    np.testing.assert_allclose(both, loud, rtol=0.05, atol=0.02)
    np.testing.assert_allclose(loud[:6], clip.mean(0), atol=0.02)
    np.testing.assert_allclose(loud[6:12], clip.std(0), atol=0.02)
    np.testing.assert_allclose(loud[12:], np.abs(np.diff(clip, axis=0)).mean(0), atol=0.02)


@pytest.mark.slow
def test_the_lowest_validation_loss_wins(rng, tmp_path):
    train, val = sounds(rng, 16), sounds(rng, 10).flat()
    rungs = climb(ladder.LADDER, config_of, RECIPE, train, val, tmp_path)
    assert [rung.family for rung in rungs] == list(ladder.LADDER)
    assert best(rungs).family == "linear"  # two epochs are not enough for the other
    assert rungs[2].record()["not_tried"] == "small-transformer is not better than linear"


@pytest.mark.parametrize(("better", "family"), [(0.5, "large"), (0.02, "small"), (-0.5, "small")])
def test_a_larger_classifier_has_to_be_better_than_by_luck(rng, better, family):
    losses = rng.uniform(0, 2, 40)
    others = losses - better + rng.normal(scale=0.5, size=40)
    rungs = [Rung("small", "it", losses=losses), Rung("large", "it", losses=others), Rung("largest", why="few clips")]
    assert best(rungs).family == family


def test_the_published_transformer_takes_many_clips(rng, tmp_path):
    train, val = sounds(rng, 16), sounds(rng, 10).flat()
    _, published = climb(("linear", "transformer"), config_of, RECIPE, train, val, tmp_path)
    assert "1000 training clips" in published.why


@pytest.mark.parametrize("method", ["integrated-gradients", "deeplift"])
def test_attributions_of_the_linear_classifier_add_up(method, normal):
    probe, valid = LinearProbe(LinearConfig(6, 2), rngs=nnx.Rngs(0)), jnp.arange(12) < 9
    how = {"valid": valid, "settings": Settings(method=method, steps=64), "key": None}
    found = jax.jit(lambda z: METHODS[method](lambda z: probe(z, valid)[0], z, jnp.zeros_like(z), **how))(normal(12, 6))
    assert abs(found.gap) < 0.05 * abs(found.value - found.baseline_value)
    assert not found.attribution[9:].any()


def test_the_warning_of_a_model_is_the_first_reason_of_its_verdicts(tiny_explainer, rng):
    warned = Explainer(tiny_explainer.model, tiny_explainer.labels, tiny_explainer.clip_seconds, ("It guesses.",))
    found = warned.explain(0.3 * rng.normal(size=400), method="saliency", ranking="weighted", control=False)
    assert found.verdict.reasons[0] == "About this model: It guesses."


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_explains_the_linear_classifier(method, rng):
    codec = MDCT(MDCTConfig("small", 1000, hop=50))
    probe = LinearProbe(LinearConfig(codec.dim, 2), rngs=nnx.Rngs(0))
    explainer = Explainer(Model(codec, probe, jnp.zeros(codec.dim)), ("a", "b"), 0.2)
    how = {"method": method, "steps": 16, "budget": 32, "mask_steps": 1, "control": False}
    assert np.isfinite(explainer.explain(0.3 * rng.normal(size=200), **how).attribution).all()


def test_what_is_no_better_than_chance_is_said_to_be():
    labels = np.arange(30) % 3
    guessed = figures(labels, np.zeros(30, int), labels, 3)
    assert guessed["chance"] == guessed["accuracy"] == pytest.approx(1 / 3)
    (warning,) = at_chance(guessed)
    assert "accuracy 0.33 on 30 test clips" in warning
    right = figures(labels, labels, labels, 3)
    assert at_chance(right) == doubts(right) == []
    half = figures(labels, np.where(np.arange(30) < 20, labels, 0), np.zeros(30, int), 3)
    assert at_chance(half) == []
    assert [words.split(" on ")[0] for words in doubts(half)] == [
        "The classifier is wrong", "The codec changes the decision"]  # fmt: skip
    origin = {"test": guessed, "split_by": "file"}
    assert f"> **Warning.** {warning}" in card("mine", ("a", "b", "c"), origin, "linear", [warning])


def test_labels_without_clips_in_a_split_are_named(tmp_path):
    places = (("a", "train"), ("a", "val"), ("a", "test"), ("b", "train"), ("b", "val"))
    clips = [LabelledClip(tmp_path, label, None, split) for label, split in places]
    folder = LabelledFolder(tuple(clips), ("a", "b"), "splits.csv")
    assert missing(folder) == ["The test split has no clips of b."]
    assert table_of(folder)[1:] == [["a", "1", "1", "1"], ["b", "1", "1", "0"], ["all", "2", "2", "1"]]


def test_small_data_gets_small_batches_and_more_epochs():
    small, large = (ClassifierRecipe().fitted(clips) for clips in (42, 100_000))
    assert small.epochs is not None
    assert small.batch is not None
    assert small.epochs * (42 // small.batch) >= 400
    assert (large.batch, large.epochs, large.patience) == (64, 40, 10)
    assert ClassifierRecipe(epochs=3, batch=5, patience=1).fitted(42) == ClassifierRecipe(epochs=3, batch=5, patience=1)
