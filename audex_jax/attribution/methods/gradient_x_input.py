"""Gradient x input: grad F(z) * (z - z0), Integrated Gradients with the clip as the only point of the path."""

from typing import Any

import jax

from audex_jax.attribution.path import PathAttribution, broadcast_baseline, ends, scalar_valued, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, **_: Any
) -> PathAttribution:
    """`gradient_x_input` as an `AttributionMethod`."""
    return with_gap(gradient_x_input(f, latent, baseline), *ends(f, latent, baseline), 1, valid)


def gradient_x_input(f: ScalarFunction, latent: ClipLatent, baseline: Array | float) -> Attribution:
    """grad F(z) * (z - z0). Shrikumar et al., arXiv 1605.01713.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
    """
    return jax.grad(scalar_valued(f))(latent) * (latent - broadcast_baseline(baseline, latent))
