"""Parts of classifiers by convolution, and the spectrogram that one of them reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.classifiers._layers import neighbours, pool
from audex_jax.classifiers.log_mel import LogMelConfig, log_mel


@pytest.mark.parametrize(("places", "size", "stride"), [(7, 3, 1), (8, 5, 1), (7, 3, 2), (8, 3, 2)])
def test_neighbours_and_a_product_are_a_convolution(places, size, stride, normal):
    x, kernel = normal(places, 2), normal(size, 2, 4)
    found = neighbours(x, size, stride) @ kernel.reshape(-1, 4)
    padding = [(size // 2, size // 2)]
    expected = jax.lax.conv_general_dilated(
        x[None], kernel, (stride,), padding, dimension_numbers=("NWC", "WIO", "NWC")
    )
    np.testing.assert_allclose(found, expected[0], atol=1e-5)
    turned = neighbours(x.T[..., None], size, stride, axis=1)
    np.testing.assert_allclose(turned[0], neighbours(x[:, :1], size, stride))


def test_pooling_is_over_own_frames():
    x = jnp.array([[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]])
    np.testing.assert_allclose(pool(x, jnp.array([True, True, False])), [2, -3, 3, -2])
    np.testing.assert_array_equal(pool(x, jnp.zeros(3, bool)), 0)


def test_the_spectrogram_shows_the_pitch_whatever_the_level():
    config, time = LogMelConfig(sample_rate=16000, classes=2), np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 1000 * time)[:, None]
    spectrum, own = log_mel(jnp.asarray(tone), jnp.ones(16000, bool), config)
    assert spectrum.shape == (125, 40)
    assert own.all()
    mel = 2595 * np.log10(1 + np.array([1000, 8000]) / 700)
    assert abs(spectrum[60].argmax() - (41 * mel[0] / mel[1] - 1)) <= 1
    quiet, _ = log_mel(jnp.asarray(0.01 * tone), jnp.ones(16000, bool), config)
    np.testing.assert_allclose(quiet, spectrum, atol=1e-2)
    silent, _ = log_mel(jnp.zeros((16000, 1)), jnp.ones(16000, bool), config)
    assert silent.max() < 0.01
