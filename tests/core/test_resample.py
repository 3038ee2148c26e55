"""Resampling is SciPy's, with a gradient."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from audex_jax.core.resample import resample, resampled_length


@pytest.mark.parametrize(("source", "target"), [(16000, 24000), (24000, 16000), (16000, 44100), (48000, 16000), (8, 8)])
@pytest.mark.parametrize("samples", [1, 77, 1000])
def test_it_gives_what_scipy_gives(source, target, samples, rng):
    audio = rng.normal(size=samples).astype(np.float32)
    common = math.gcd(source, target)
    expected = scipy.signal.resample_poly(audio, target // common, source // common)
    found = resample(jnp.asarray(audio), source, target)
    assert len(found) == resampled_length(samples, source, target)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_its_pull_back_is_its_transpose(rng):
    one, other = rng.normal(size=50).astype(np.float32), rng.normal(size=75).astype(np.float32)
    found, pull_back = jax.vjp(lambda x: resample(x, 16000, 24000), jnp.asarray(one))
    assert float(found @ other) == pytest.approx(float(pull_back(jnp.asarray(other))[0] @ one), rel=1e-4)
