"""Shapley values by permutation sampling: what a unit adds when it joins the others in random order.

Castro et al., "Polynomial calculation of the Shapley value based on sampling", 2009. The contributions in each order
sum to F(z) - F(z0), so their mean does too. It takes `permutations` x (units + 1) forward passes, and no gradient.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.path import (
    PathAttribution,
    Scalar,
    broadcast_baseline,
    ends,
    sample_count,
    scalar_valued,
    with_gap,
)
from audex_jax.attribution.units import check_units, spread
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float

SEGMENTS = 10  # time segments of a clip


class ShapleyAttribution(NamedTuple):
    """Estimated Shapley values, with the standard error of each, `[t, d]` both."""

    attribution: Attribution
    standard_error: Attribution


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
    """Shapley values of `SEGMENTS` time segments as an `AttributionMethod`; the steps are the permutations.

    The elements of a segment share its value evenly.
    """
    permutations = max(2, sample_count(settings))
    segment = jnp.minimum((jnp.cumsum(valid) - 1) * SEGMENTS // jnp.maximum(valid.sum(), 1), SEGMENTS - 1)
    elements = jax.ops.segment_sum(valid.astype(latent.dtype), segment, SEGMENTS) * latent.shape[1]
    units = jnp.broadcast_to(segment[:, None], latent.shape)
    values, _error = _sampled(f, latent, baseline, units, SEGMENTS, key, permutations, settings.chunk)
    attribution = spread(values / jnp.maximum(elements, 1), units)
    return with_gap(attribution, *ends(f, latent, baseline), permutations * (SEGMENTS + 1), valid)


def shapley_sampling(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float,
    *,
    units: np.ndarray,
    key: Array,
    permutations: int = 24,
    chunk: int = 8,
) -> ShapleyAttribution:
    """Shapley value of each unit; every element gets the value of its unit.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
        units: unit map `[t, d]`, see `unit_map`; time segments keep the cost low.
        key: random key; each order draws from a key of its own.
        permutations: random orders, at least 2.
        chunk: copies of the clip held in memory at once.

    Raises:
        ValueError: as in `integrated_gradients`, a unit map that does not fit, or fewer than 2 permutations, from which
            no standard error can be estimated.
    """
    if permutations < 2:
        raise ValueError(f"permutations is {permutations}; at least 2 are needed for a standard error")
    baseline, units = broadcast_baseline(baseline, latent), check_units(units, latent.shape)
    mean, error = _sampled(f, latent, baseline, jnp.asarray(units), int(units.max()) + 1, key, permutations, chunk)
    return ShapleyAttribution(spread(mean, units), spread(error, units))


def _sampled(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    units: Array,
    count: int,
    key: Array,
    permutations: int,
    chunk: int,
) -> tuple[Float[Array, " u"], Float[Array, " u"]]:
    """Shapley value of each of `count` units, and its standard error."""

    def contributions(key: Array) -> Array:
        place = jnp.argsort(jax.random.permutation(key, count))  # when each unit joins

        def joined(number: Array) -> Scalar:
            return scalar_valued(f)(jnp.where(place[units] < number, latent, baseline))

        values = jax.lax.map(joined, jnp.arange(count + 1), batch_size=chunk)
        return jnp.diff(values)[place]

    def add(state: tuple[Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array], None]:
        number, mean, squares = state  # Welford's running mean and sum of squared deviations
        new = contributions(key).astype(mean.dtype)
        updated = mean + (new - mean) / (number + 1)
        return (number + 1, updated, squares + (new - mean) * (new - updated)), None

    zeros = jnp.zeros(count, jnp.promote_types(latent.dtype, jnp.float32))
    start = (zeros[0], zeros, zeros)
    (_, mean, squares), _ = jax.lax.scan(add, start, jax.random.split(key, permutations))
    return mean, jnp.sqrt(squares / (permutations - 1) / permutations)
