"""Saliency: |grad F(z)|, where a small change matters most. Simonyan et al., arXiv 1312.6034."""

from typing import Any

import jax
import jax.numpy as jnp

from audex_jax.attribution.path import PathAttribution, ends, scalar_valued, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, **_: Any
) -> PathAttribution:
    """`saliency` as an `AttributionMethod`."""
    return with_gap(saliency(f, latent), *ends(f, latent, baseline), 1, valid)


def saliency(f: ScalarFunction, latent: ClipLatent, baseline: Array | float = 0.0) -> Attribution:
    """|grad F(z)|.

    Args:
        f, latent: as in `integrated_gradients`.
        baseline: not used; the common signature has it.
    """
    del baseline
    return jnp.abs(jax.grad(scalar_valued(f))(latent))
