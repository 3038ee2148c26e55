"""Occlusion: what F loses when one unit alone is replaced by the baseline, F(z) - F(z without it).

Zeiler and Fergus, arXiv 1311.2901. It takes one forward pass a unit, and no gradient.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.path import (
    PathAttribution,
    Scalar,
    broadcast_baseline,
    ends,
    scalar_valued,
    with_gap,
)
from audex_jax.attribution.units import check_units, spread, unit_map
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, settings: Settings, **_: Any
) -> PathAttribution:
    """`occlusion` of each frame as an `AttributionMethod`; the elements of a frame share its loss evenly."""
    losses = occlusion(f, latent, baseline, units=unit_map("frame", *latent.shape), chunk=settings.chunk)
    return with_gap(losses / latent.shape[1], *ends(f, latent, baseline), valid.sum(), valid)


def occlusion(
    f: ScalarFunction, latent: ClipLatent, baseline: Array | float, *, units: np.ndarray, chunk: int = 8
) -> Attribution:
    """Loss of each unit; every element gets the value of its unit.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
        units: unit map `[t, d]`, see `unit_map`; frames or dimensions are usual.
        chunk: occluded copies held in memory at once.

    Raises:
        ValueError: as in `integrated_gradients`, or a unit map that does not fit.
    """
    baseline, units = broadcast_baseline(baseline, latent), check_units(units, latent.shape)

    def without(unit: Array) -> Scalar:
        return scalar_valued(f)(jnp.where(units == unit, baseline, latent))

    losses = f(latent) - jax.lax.map(without, jnp.arange(units.max() + 1), batch_size=chunk)
    return spread(losses, units)
