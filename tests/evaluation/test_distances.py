"""Distances of sounds on pairs whose answer is known."""

import math

import jax.numpy as jnp
import pytest

from audex_jax.evaluation import listening


def test_noise_of_a_known_level_has_that_ratio(normal):
    speech, noise = normal(16_000), normal(16_000)
    noise = noise - (noise @ speech) / (speech @ speech) * speech
    noise = noise * jnp.sqrt((speech @ speech) / (noise @ noise)) / 10
    for scale in (1, 0.01):
        assert float(listening.si_sdr(scale * (speech + noise), speech)) == pytest.approx(20, abs=0.1)


def test_distances_are_those_of_each_pair(normal):
    reference = normal(2, 4000) * 0.1
    found = listening.DISTANCES(jnp.stack([reference[0], 30 * reference[1]]), reference)
    assert found["LSD, dB"][0] == 0
    assert float(found["LSD, dB"][1]) == pytest.approx(20 * math.log10(30), abs=0.1)
    assert float(found["level, dB"][1]) == pytest.approx(20 * math.log10(30), abs=1e-3)
    assert found["clipped"][0] == 0
    assert found["clipped"][1] > 0.5


def test_silence_is_finite():
    silence, tone = jnp.zeros(2000), jnp.sin(jnp.arange(2000.0))
    for sound, reference in ((silence, tone), (tone, silence), (silence, silence)):
        for value in listening.DISTANCES(sound[None], reference[None]).values():
            assert jnp.isfinite(value).all()
