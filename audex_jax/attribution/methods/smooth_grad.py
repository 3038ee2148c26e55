"""SmoothGrad: the mean gradient, with its sign, over noisy copies of the clip. Smilkov et al., arXiv 1706.03825."""

from typing import Any

import jax
import jax.numpy as jnp

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.path import PathAttribution, ends, sample_count, scalar_valued, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    *,
    valid: ClipValid,
    key: Array,
    settings: Settings,
    **_: Any,
) -> PathAttribution:
    """`smooth_grad` as an `AttributionMethod`; the steps are the samples."""
    samples = sample_count(settings)
    attribution = smooth_grad(f, latent, key=key, samples=samples, chunk=settings.chunk, valid=valid)
    return with_gap(attribution, *ends(f, latent, baseline), samples, valid)


def smooth_grad(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float = 0.0,
    *,
    key: Array,
    samples: int = 24,
    noise: float = 0.15,
    chunk: int = 8,
    valid: ClipValid | None = None,
) -> Attribution:
    """Mean gradient over noisy copies of the clip.

    Args:
        f, latent: as in `integrated_gradients`.
        baseline: not used; the common signature has it.
        key: random key; each sample draws from a key of its own, so that `chunk` does not change the result.
        samples: number of noisy copies.
        noise: standard deviation of the noise as a share of the clip's range, max z - min z.
        chunk: copies held in memory at once.
        valid: the clip's own frames, `[t]`, from which the range is taken. None for all frames.
    """
    del baseline
    own = jnp.ones(latent.shape, bool) if valid is None else valid[:, None]
    deviation = noise * (latent.max(where=own, initial=-jnp.inf) - latent.min(where=own, initial=jnp.inf))
    gradient = jax.grad(scalar_valued(f))

    def noisy(key: Array) -> Attribution:
        return gradient(latent + deviation * jax.random.normal(key, latent.shape, latent.dtype))

    return weighted_sum(noisy, jax.random.split(key, samples), jnp.full(samples, 1 / samples), chunk)
