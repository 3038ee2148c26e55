"""Magnitude, a control: |z - z0|, how the factor z - z0 of Integrated Gradients ranks by itself, without the model."""

from typing import Any

import jax.numpy as jnp

from audex_jax.attribution.path import PathAttribution, broadcast_baseline, ends, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, **_: Any
) -> PathAttribution:
    """`magnitude` as an `AttributionMethod`."""
    return with_gap(magnitude(f, latent, baseline), *ends(f, latent, baseline), 0, valid)


def magnitude(f: ScalarFunction, latent: ClipLatent, baseline: Array | float) -> Attribution:
    """|z - z0|.

    Args:
        f: not used; the common signature has it.
        latent, baseline: as in `integrated_gradients`.
    """
    del f
    return jnp.abs(latent - broadcast_baseline(baseline, latent))
