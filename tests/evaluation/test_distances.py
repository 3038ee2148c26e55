"""Distances of sounds on pairs whose answer is known."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.evaluation.distances import distances, si_sdr


def test_noise_of_a_known_level_has_that_ratio(normal):
    speech, noise = normal(16_000), normal(16_000)
    noise = noise - (noise @ speech) / (speech @ speech) * speech
    noise = noise * jnp.sqrt((speech @ speech) / (noise @ noise)) / 10
    for scale in (1, 0.01):
        assert float(si_sdr(scale * (speech + noise), speech)) == pytest.approx(20, abs=0.1)


def test_distances_are_those_of_each_pair(normal):
    reference = normal(2, 4000) * 0.1
    found = distances(jnp.stack([reference[0], 30 * reference[1]]), reference, jnp.full(2, 4000))
    assert found["LSD, dB"][0] == 0
    assert float(found["LSD, dB"][1]) == pytest.approx(20 * math.log10(30), abs=0.1)
    assert float(found["level, dB"][1]) == pytest.approx(20 * math.log10(30), abs=1e-3)
    assert found["clipped"][0] == 0
    assert found["clipped"][1] > 0.5


@pytest.mark.parametrize("length", [500, 1024, 3000])
def test_padding_does_not_count(normal, length):
    pair = normal(2, 1, length) * 0.5 + 0.3
    plain = distances(*pair, jnp.array([length]))
    padded = distances(*jnp.pad(pair, ((0, 0), (0, 0), (0, 3000))), jnp.array([length]))
    for name, value in plain.items():
        np.testing.assert_allclose(padded[name], value, rtol=1e-4, atol=1e-3, err_msg=name)


def test_silence_is_finite():
    silence, tone = jnp.zeros(2000), jnp.sin(jnp.arange(2000.0))
    for sound, reference in ((silence, tone), (tone, silence), (silence, silence)):
        for value in distances(sound[None], reference[None], jnp.array([2000])).values():
            assert jnp.isfinite(value).all()
