"""GradientSHAP: expected gradients by sampling, a random baseline and a random place on its path for each sample.

    A = mean of grad F(z0 + a (zn - z0)) * (zn - z0),  zn = z + noise,  a uniform,  z0 drawn from the baselines

Lundberg and Lee, arXiv 1705.07874; Erion et al., arXiv 1906.10670.
"""

from typing import Any

import jax
import jax.numpy as jnp

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.path import Baselines, PathAttribution, sample_count, scalar_valued, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float


def attribute(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    *,
    baselines: Baselines,
    valid: ClipValid,
    key: Array,
    settings: Settings,
    **_: Any,
) -> PathAttribution:
    """`gradient_shap` as an `AttributionMethod`; the steps are the samples."""
    pool, samples = baselines(), sample_count(settings)
    attribution = gradient_shap(f, latent, pool, key=key, samples=samples, chunk=settings.chunk)
    baseline_value = jax.lax.map(f, pool, batch_size=settings.chunk).mean()
    return with_gap(attribution, f(latent), baseline_value, samples, valid)


def gradient_shap(
    f: ScalarFunction,
    latent: ClipLatent,
    baselines: Float[Array, "m t d"],
    *,
    key: Array,
    samples: int = 24,
    noise: float = 0.0,
    chunk: int = 8,
) -> Attribution:
    """Expected gradients of one clip by sampling.

    Args:
        f, latent: as in `integrated_gradients`.
        baselines: `[m, t, d]`.
        key: random key; each sample draws from a key of its own, so that `chunk` does not change the result.
        samples: number of samples.
        noise: standard deviation of noise added to the clip, in units of the latent.
        chunk: samples held in memory at once.
    """
    gradient = jax.grad(scalar_valued(f))

    def sample(key: Array) -> Attribution:
        noise_key, which_key, place_key = jax.random.split(key, 3)
        noisy = latent + noise * jax.random.normal(noise_key, latent.shape, latent.dtype)
        baseline = baselines[jax.random.randint(which_key, (), 0, len(baselines))]
        place = jax.random.uniform(place_key, (), latent.dtype)
        return gradient(baseline + place * (noisy - baseline)) * (noisy - baseline)

    return weighted_sum(sample, jax.random.split(key, samples), jnp.full(samples, 1 / samples), chunk)
