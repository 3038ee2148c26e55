import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import integrated_gradients, spectrum


def tone(samples, channels=1):
    phases = jnp.arange(samples)[:, None] * jnp.linspace(0.05, 0.2, channels + 1)[1:]
    return jnp.sin(phases) * jnp.linspace(0.2, 1, samples)[:, None]


@jax.jit
def there_and_back(audio):
    magnitude, synthesise = spectrum(audio, window=64)
    return magnitude, synthesise(magnitude), synthesise(0 * magnitude)


@pytest.mark.parametrize("channels", [1, 2])
def test_synthesis_of_the_own_magnitude_is_the_clip(channels):
    audio = tone(301, channels)
    magnitude, again, nothing = there_and_back(audio)
    assert (magnitude >= 0).all()
    assert magnitude.shape[1] == 33 * channels
    np.testing.assert_allclose(again, audio, atol=1e-5)
    np.testing.assert_allclose(nothing, 0)


def test_magnitude_is_where_the_tone_is():
    magnitude, *_ = there_and_back(jnp.sin(2 * jnp.pi * 8 / 64 * jnp.arange(640))[:, None])
    assert (magnitude[4:-4].argmax(1) == 8).all()


def test_adds_up_to_the_magnitude():
    audio = tone(96)

    def f(audio):
        return jnp.tanh(3 * audio.reshape(24, 4) @ jnp.array([1.0, -2.0, 0.5, 2.0])).sum()

    @jax.jit
    def explain(audio):
        magnitude, synthesise = spectrum(audio, window=32)
        return integrated_gradients(lambda m: f(synthesise(m)), magnitude, 0.0, steps=64, chunk=64), magnitude

    result, magnitude = explain(audio)
    assert result.attribution.shape == magnitude.shape
    assert result.value == pytest.approx(float(f(audio)), rel=1e-4)
    assert abs(result.gap) < 0.02 * abs(result.value - result.baseline_value)


@pytest.mark.parametrize("window", [0, 30, 400])
def test_refuses_a_window_that_does_not_fit(window):
    with pytest.raises(ValueError, match="multiple of 4"):
        spectrum(tone(300), window)
