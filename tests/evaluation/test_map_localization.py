"""The occlusion map finds planted evidence, in time and in frequency, and that of a shuffled model does not.

Where AUDEX_SPEECH_COMMANDS names a folder of words, the bundled model is asked for words in time, too.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from audex_jax.bundles import load_explainer
from audex_jax.classifiers.conv import ConvConfig, LatentConvNet
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import read_folder
from audex_jax.evaluation import map_localization as located
from audex_jax.evaluation.words import place_words
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("optimised")]
CLIPS = 24


def trained(codec, samples: int, rate: int) -> LatentConvNet:
    """A classifier of latents that tells the bands of events apart."""
    events = located.band_events(640, samples, rate, seed=1)
    encode = jax.jit(lambda codec, audio: codec.encode(audio[..., None], jnp.full(len(audio), samples)))
    latents = jnp.concatenate([encode(codec, audio) for audio in np.split(events.audio, 40)])
    shape = ConvConfig(dim=codec.dim, classes=len(located.TOLD_HZ), width=48, layers=2, kernel=7, companding=10.0)
    graph, weights = nnx.split(LatentConvNet(shape, rngs=nnx.Rngs(0)))
    optimiser = optax.adamw(2e-3, weight_decay=1e-2)

    @jax.jit
    def step(weights, state, latents, labels):
        def loss(weights):
            classifier, valid = nnx.merge(graph, weights), jnp.ones(latents.shape[1], bool)
            logits = jax.vmap(lambda latent: classifier(latent, valid))(latents)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        change, state = optimiser.update(jax.grad(loss)(weights), state, weights)
        return optax.apply_updates(weights, change), state

    state, rng = optimiser.init(weights), np.random.default_rng(0)
    for _ in range(250):
        chosen = rng.integers(len(latents), size=64)
        weights, state = step(weights, state, latents[chosen], events.target[chosen])
    return nnx.merge(graph, weights)


def test_an_event_is_found_in_its_band():
    bundled = load_explainer("mini-speech-commands").model
    codec, samples, rate = bundled.codec, 16000, bundled.codec.sample_rate
    explainer = Explainer(Model(codec, trained(codec, samples, rate), bundled.mean_latent), ("a", "b", "c"), 1.0)
    events = located.band_events(CLIPS, samples, rate, seed=2)
    none = np.full(CLIPS, -1, np.int32)

    def areas(shuffled=None):
        maps = located.occlusion_maps_of(explainer, events.audio, events.target, none, shuffled)
        return np.nanmean(located.band_areas(maps, events, rate), 1)

    assert (areas() > 0.85).all()
    chance = np.mean([areas(seed) for seed in (0, 1, 2)], 0)
    assert (np.abs(chance - 0.5) < 0.15).all()


def test_a_word_is_found_in_time():
    data = os.environ.get("AUDEX_SPEECH_COMMANDS")
    if not data:
        pytest.skip("needs AUDEX_SPEECH_COMMANDS, a folder of Speech Commands")
    explainer = load_explainer("mini-speech-commands")
    rate, samples = explainer.sample_rate, explainer.clip_samples
    files = [clip for clip in read_folder(data, explainer.labels).clips if clip.split == "test"]
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:CLIPS]]
    clips = [clip[:samples] for clip in read_clips([file.path for file in files], rate, quiet=True)]
    placed = place_words(clips, files, explainer.labels, samples, "two words")

    def areas(shuffled=None):
        maps = located.occlusion_maps_of(explainer, placed.audio, placed.target, placed.against, shuffled)
        return np.nanmean(located.word_areas(maps, placed, rate)[1])

    assert areas() > 0.85
    assert abs(areas(0) - 0.5) < 0.15
