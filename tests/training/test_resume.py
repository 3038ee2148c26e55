"""Training on small sounds: it learns, it resumes where it was killed, and it refuses what it cannot use."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from flax import nnx

from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.codecs.encodec.config import TINY
from audex_jax.codecs.mdct import MDCT, MDCTConfig
from audex_jax.core.errors import AudexError
from audex_jax.core.registry import CLASSIFIERS
from audex_jax.data.folder import LabelledClip, LabelledFolder
from audex_jax.training.classifier import optimizer, predict, standardise, train_classifier
from audex_jax.training.codec import sample_batch, train_codec
from audex_jax.training.inputs import Inputs, cached_inputs
from audex_jax.training.recipes import ClassifierRecipe, CodecRecipe
from audex_jax.training.state import TrainingCheckpoints
from audex_jax.training.task import Task
from audex_jax.training.variants import make_variant

FITTING_SECONDS = 20  # of audio that the start is fitted to; ten minutes of tones are no different
RECIPE = CodecRecipe(steps=6, batch=4, seconds=0.5, warmup=2)


def tones(count: int, seed: int = 0) -> list[np.ndarray]:
    """Half-second tones at 1 kHz sample rate; class = frequency."""
    rng = np.random.default_rng(seed)
    t = np.arange(500) / 1000
    return [np.sin(2 * np.pi * (40, 170)[i % 2] * t + rng.uniform(0, 6)).astype(np.float32) for i in range(count)]


@pytest.fixture(autouse=True)
def short_fitting(monkeypatch):
    monkeypatch.setattr("audex_jax.training.codec.FITTING_SECONDS", FITTING_SECONDS)


def leaves(codec):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(codec)]


def test_a_batch_depends_on_nothing_but_its_step():
    clips = tones(6)
    one, again, other = (sample_batch(clips, RECIPE, 1000, step) for step in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    assert one.shape == (4, 500, 1)


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_codec_training_resumed_equals_uninterrupted(tmp_path, adversarial):
    clips, recipe = tones(8), dataclasses.replace(RECIPE, adversarial=adversarial)
    whole = train_codec(clips, TINY, recipe, tmp_path / "whole", checkpoint_every=3)

    class Killed(Exception):
        pass

    def kill(step, parts):
        raise Killed

    with pytest.raises(Killed):
        train_codec(clips, TINY, recipe, tmp_path / "cut", kill, checkpoint_every=3)
    resumed = train_codec(clips, TINY, recipe, tmp_path / "cut", checkpoint_every=3)
    for a, b in zip(leaves(whole), leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_discriminators_learn_to_tell_copies_from_clips(tmp_path):
    losses = []
    recipe = dataclasses.replace(RECIPE, steps=60, adversarial=0.01, learning_rate=1e-6)
    train_codec(tones(8), TINY, recipe, tmp_path, lambda step, p: losses.append(p["discriminators"]))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_codec_training_learns_the_waveform(tmp_path):
    parts = []
    recipe = dataclasses.replace(RECIPE, steps=150, learning_rate=3e-3)
    train_codec(tones(8), TINY, recipe, tmp_path, lambda step, p: parts.append(p["snr_db"]))
    assert np.mean(parts[-3:]) > np.mean(parts[:3]) + 3


def inputs_of(codec, count: int, variants: int, kind: str = "latent", samples: int = 500) -> Inputs:
    parts = [make_variant(codec, tones(count), samples, v, 0, (kind,))[kind] for v in range(variants)]
    return Inputs(*(np.stack(arrays, 1) for arrays in zip(*parts, strict=True)), np.arange(count) % 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind"), [("transformer", "encodec"), ("transformer", "mdct"), ("conv", "mdct"), ("log-mel", "mdct")]
)
def test_classifier_training_learns_and_resumes(family, kind, tmp_path, codec_of):
    codec = codec_of(TINY) if kind == "encodec" else MDCT(MDCTConfig("small", 1000, hop=10))
    classifier = CLASSIFIERS[family]
    train = inputs_of(codec, 48, 4, classifier.reads)
    shapes = {"latent": (48, 4, codec.frames(500), codec.dim), "audio": (48, 4, 500, 1)}
    assert train.values.shape == shapes[classifier.reads]
    task = Task(codec, LabelledFolder((), ("high", "low"), ""), 0.51, tmp_path, (), 4, 0)
    config = task.config(classifier, width=16, layers=1, heads=2, feed_forward=32)
    recipe = ClassifierRecipe(epochs=20, batch=16, learning_rate=5e-3, dropout=0.0, edited=0.0)
    plain, seen = train.variant(0), []
    whole = train_classifier(classifier, config, recipe, train, plain, tmp_path / "a", lambda *r: seen.append(r))
    assert (predict(whole, plain) == plain.labels).mean() > 0.75
    assert [epoch for epoch, *_ in seen] == list(range(1, len(seen) + 1))

    class Killed(Exception):
        pass

    def kill(epoch, *_):
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        train_classifier(classifier, config, recipe, train, plain, tmp_path / "b", kill)
    resumed = train_classifier(classifier, config, recipe, train, plain, tmp_path / "b")
    for a, b in zip(leaves(whole), leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sounds_of_a_variant_are_those_that_its_latents_are_of(codec_of):
    codec = codec_of(TINY)
    clips = tones(5)
    for variant in range(4):
        both = make_variant(codec, clips, 500, variant, 0, ("latent", "audio"), batch=3)
        alone = make_variant(codec, clips, 500, variant, 0, ("latent",), batch=3)["latent"]
        np.testing.assert_array_equal(both["latent"][0], alone[0])
        audio, lengths = both["audio"]
        again = np.asarray(codec.encode(jnp.asarray(audio, jnp.float32), jnp.asarray(lengths)))
        np.testing.assert_allclose(again, alone[0], atol=0.02 * np.abs(again).max())
        np.testing.assert_array_equal(codec.frames(jnp.asarray(lengths)), alone[1])


def test_a_classifier_starts_from_standardised_dimensions(rng):
    config = TransformerConfig(dim=6, classes=2, frames=50, width=400, layers=1, heads=2, feed_forward=32)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
    latents = (rng.normal(size=(40, 50, 6)) * 10.0 ** np.linspace(-1, 1, 6) + 5).astype(np.float32)
    inputs = Inputs(latents, rng.integers(40, 51, 40), np.zeros(40, int))
    latents[~inputs.valid] = 1e6
    standardise(classifier, inputs)
    projected = np.asarray(classifier.project_in(latents[inputs.valid]))
    assert abs(projected.mean()) < 0.01
    assert 0.8 < projected.std() < 1.2


def test_predictions_do_not_depend_on_the_batch_size(codec_of):
    config = TransformerConfig(dim=6, classes=3, frames=50, width=16, layers=1, heads=2, feed_forward=32)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
    inputs = inputs_of(codec_of(TINY), 7, 1).variant(0)
    np.testing.assert_array_equal(predict(classifier, inputs, 3), predict(classifier, inputs, 7))


# Orbax drops coroutines when it meets a damaged state
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_another_training_is_not_gone_on_with(tmp_path):
    """Neither settings nor a damaged state of another training are taken over."""
    identity = {"recipe": {"width": 128, "seed": 0}}
    with TrainingCheckpoints(tmp_path, identity) as checkpoints:
        checkpoints.save(1, {"a": jnp.arange(3.0)})
    with pytest.raises(AudexError, match=r"recipe\.width: 128 there, 64 now"):
        TrainingCheckpoints(tmp_path, {"recipe": {"width": 64, "seed": 0}})
    with TrainingCheckpoints(tmp_path, identity) as checkpoints:
        np.testing.assert_array_equal(checkpoints.restore(lambda: {"a": jnp.zeros(3)})["a"], [0, 1, 2])
    with (
        TrainingCheckpoints(tmp_path, identity) as checkpoints,
        pytest.raises(AudexError, match="delete this folder to begin again"),
    ):
        checkpoints.restore(lambda: {"a": jnp.zeros(4)})
    for path in (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "identity.json"):
        path.write_bytes(b"")
    with (
        TrainingCheckpoints(tmp_path, identity) as checkpoints,
        pytest.raises(AudexError, match="delete this folder to begin again"),
    ):
        checkpoints.restore(lambda: {"a": jnp.zeros(3)})


@pytest.mark.parametrize("damage", ["cut", "nan", "shape", "other"])
def test_damaged_inputs_are_made_again(tmp_path, damage):
    codec = MDCT(MDCTConfig("small", 1000, hop=10))
    clips = [LabelledClip(tmp_path / f"{i}.wav", "ab"[i % 2], None, "train") for i in range(4)]
    for clip, sound in zip(clips, tones(4), strict=True):
        soundfile.write(clip.path, 0.5 * sound, 1000, subtype="FLOAT")

    def made() -> Inputs:
        return cached_inputs(codec, clips, ("a", "b"), 0.5, range(2), 0, tmp_path, "train", quiet=True)

    right = made()
    (path,) = tmp_path.glob("latent-train-*.npz")
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-1000])
    else:
        values = {"nan": right.values * np.nan, "shape": right.values[:3], "other": right.labels}[damage]
        np.savez(path, values=values, own=right.own)
    for kept, before in zip(made(), right, strict=True):
        np.testing.assert_array_equal(kept, before)
    assert path.read_bytes() == whole


def test_one_step_in_all_is_enough():
    for recipe in (ClassifierRecipe(epochs=1), ClassifierRecipe(epochs=2, batch=8)):
        optimizer(recipe, 1).init({"kernel": jnp.zeros((2, 2))})


@pytest.mark.parametrize(
    ("recipe", "field", "value"),
    [
        (ClassifierRecipe, "epochs", 0),
        (ClassifierRecipe, "learning_rate", float("nan")),
        (ClassifierRecipe, "variants", 0),
        (ClassifierRecipe, "seed", -1),
        (CodecRecipe, "seconds", 1e9),
        (CodecRecipe, "steps", 0),
    ],
)
def test_recipes_refuse_what_no_training_can_use(recipe, field, value):
    with pytest.raises(AudexError, match=f"{field} is"):
        recipe(**{field: value})
