"""Maps in time and frequency: they add up, stay in their bounds, and lie where the model listens."""

import functools
from types import SimpleNamespace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.mdct import MDCT
from audex_jax.core.types import Array
from audex_jax.evaluation import map_localization as located
from audex_jax.evaluation.words import PlacedWords
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.maps import BANDS, HOP, LEAST_DB, kept_map, mel_edges, mel_power, occlusion_maps
from audex_jax.explain.model import Model

RATE = 16000


class HearsBands(NamedTuple):
    """A classifier of an MDCT's latents: how loud is each of the bands of `TOLD_HZ`?"""

    weight: Array  # [d, k]
    reads = "latent"

    def __call__(self, clip, valid):
        return (jnp.abs(clip) * valid[:, None]).sum(0) @ self.weight


@pytest.fixture(scope="module")
def explainer():
    codec = MDCT.from_name(str(RATE))
    frequency = (np.arange(codec.dim) + 0.5) / codec.dim * RATE / 2
    weight = np.stack([(frequency >= low) & (frequency < high) for low, high in located.TOLD_HZ], 1)
    classifier = HearsBands(jnp.asarray(weight, jnp.float32))
    return Explainer(Model(codec, classifier, jnp.zeros(codec.dim)), ("a", "b", "c"), 1.0)


@pytest.mark.parametrize(("hertz", "rate"), [(440, 16000), (9000, 44100)])
def test_a_tone_lies_in_its_band_and_its_frames(hertz, rate):
    time = np.arange(rate) / rate
    power = mel_power(np.sin(2 * np.pi * hertz * time) * (time > 0.5), rate)
    assert power.shape == (50, BANDS)
    low, high = mel_edges(rate, BANDS)[[power[40].argmax(), power[40].argmax() + 2]]
    assert low <= hertz <= high
    assert power[:24].sum() < 0.01 * power.sum()
    np.testing.assert_allclose(
        power, mel_power(jnp.asarray(time > 0.5) * np.sin(2 * np.pi * hertz * time), rate), rtol=0.05, atol=1e-2
    )


def test_what_is_kept_in_decibels(rng):
    time = np.arange(RATE) / RATE
    low, high = (np.sin(2 * np.pi * hertz * time) for hertz in (500, 4000))
    found = kept_map(low + 0.1 * high, low + high, RATE)
    assert found.shape == (50, BANDS)
    assert found.min() == LEAST_DB  # as where there is nothing
    centres = mel_edges(RATE, BANDS)[1:-1]
    np.testing.assert_allclose(found[5:-5, np.abs(centres - 500).argmin()], 0, atol=0.1)
    np.testing.assert_allclose(found[5:-5, np.abs(centres - 4000).argmin()], -20, atol=0.1)
    assert (kept_map(np.zeros(RATE), np.zeros(RATE), RATE) == LEAST_DB).all()


@pytest.mark.parametrize("samples", [RATE, 9000, 200])
def test_blocks_add_up_to_what_a_linear_model_hears(explainer, rng, samples):
    clip = 0.1 * rng.normal(size=samples).astype(np.float32)
    one = SimpleNamespace(recording=clip, target="b", versus="a")
    (found,) = occlusion_maps(explainer, [one])
    assert found.shape == (-(-samples // 320), BANDS)
    low, middle = (
        found[:, mel_edges(RATE, BANDS)[1:-1] < 600],
        found[:, np.abs(mel_edges(RATE, BANDS)[1:-1] - 1300) < 300],
    )
    assert low.mean() < 0 < middle.mean()  # against the one, for the other


def test_the_band_that_the_model_listens_to_is_found_and_by_a_shuffled_one_it_is_not(explainer):
    events = located.band_events(6, RATE, RATE)
    areas = functools.partial(located.band_areas, events=events, rate=RATE)
    of = functools.partial(located.occlusion_maps_of, explainer, events.audio, events.target, np.full(6, -1, np.int32))
    assert np.nanmean(areas(of()), 1) == pytest.approx([1, 1], abs=0.1)
    assert 0.25 < np.nanmean([areas(of(shuffled=seed)) for seed in (0, 1, 2)]) < 0.75
    assert 0.2 < np.nanmean(areas(np.array([mel_power(clip, RATE) for clip in events.audio]))) < 0.8


def test_a_moment_that_the_model_listens_to_is_found(explainer, rng):
    time = np.arange(RATE) / RATE
    word = np.zeros((2, RATE), np.float32)
    for row, begin in enumerate((0.1, 0.55)):
        inside = (time >= begin) & (time < begin + 0.3)
        word[row] = 0.1 * np.sin(2 * np.pi * 1000 * time) * inside
    audio = word + 0.02 * np.sin(2 * np.pi * 4000 * time).astype(np.float32)
    start = np.array([round(0.1 * RATE), round(0.55 * RATE)])
    placed = PlacedWords(audio, start, start + round(0.3 * RATE), word, np.array([1, 1]), np.array([-1, -1]))
    maps = located.occlusion_maps_of(explainer, audio, placed.target, placed.against)
    assert (located.word_areas(maps, placed, RATE)[1] > 0.95).all()
    assert int(maps[0].sum(1).argmax() * HOP * 10) in range(1, 4)
