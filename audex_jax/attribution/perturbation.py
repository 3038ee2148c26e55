"""Perturbation: replace units of the clip by the baseline and watch the number change. No gradients.

Both take a unit map of `units` and give every element its unit's value.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.integrated_gradients import Scalar, ScalarFunction, broadcast_baseline, scalar_valued
from audex_jax.attribution.units import spread
from audex_jax.core.types import Array, Attribution, ClipLatent


class ShapleyAttribution(NamedTuple):
    """Estimated Shapley values, with the standard error of each, `[t, d]` both."""

    attribution: Attribution
    standard_error: Attribution


def occlusion(
    f: ScalarFunction, latent: ClipLatent, baseline: Array | float, *, units: np.ndarray, chunk: int = 8
) -> Attribution:
    """What F loses when one unit alone is replaced by the baseline: F(z) - F(z without it).

    Zeiler and Fergus, arXiv 1311.2901. Costs one forward pass a unit.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
        units: unit map `[t, d]`, see `unit_map`; frames or dimensions are usual.
        chunk: occluded copies held in memory at once.
    """
    baseline, units = broadcast_baseline(baseline, latent), _checked(units, latent)

    def without(unit: Array) -> Scalar:
        return scalar_valued(f)(jnp.where(units == unit, baseline, latent))

    losses = f(latent) - jax.lax.map(without, jnp.arange(units.max() + 1), batch_size=chunk)
    return spread(losses, units)


def shapley_sampling(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float,
    *,
    units: np.ndarray,
    key: Array,
    permutations: int = 32,
    chunk: int = 8,
) -> ShapleyAttribution:
    """Shapley values by permutation sampling: what a unit adds when it joins the others in random order.

    Castro et al., "Polynomial calculation of the Shapley value based on sampling", 2009. The values of each order sum
    to F(z) - F(z0), so their mean does too. Costs `permutations` times (number of units + 1) forward passes.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
        units: unit map `[t, d]`; time segments keep the cost bearable.
        key: random key; each order draws from a key of its own.
        permutations: random orders, at least 2.
        chunk: copies of the clip held in memory at once.

    Raises:
        ValueError: fewer than 2 permutations: no standard error could be given.
    """
    if permutations < 2:
        raise ValueError(f"permutations is {permutations}; at least 2 are needed for a standard error")
    baseline, units = broadcast_baseline(baseline, latent), _checked(units, latent)
    count = int(units.max()) + 1

    def contributions(key: Array) -> Array:
        place = jnp.argsort(jax.random.permutation(key, count))  # when each unit joins

        def joined(number: Array) -> Scalar:
            return scalar_valued(f)(jnp.where(place[units] < number, latent, baseline))

        values = jax.lax.map(joined, jnp.arange(count + 1), batch_size=chunk)
        return jnp.diff(values)[place]

    def add(state: tuple[Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array], None]:
        number, mean, squares = state  # Welford's running mean and sum of squared deviations
        new = contributions(key)
        updated = mean + (new - mean) / (number + 1)
        return (number + 1, updated, squares + (new - mean) * (new - updated)), None

    zeros = jnp.zeros(count, latent.dtype)
    start = (jnp.zeros((), latent.dtype), zeros, zeros)
    (_, mean, squares), _ = jax.lax.scan(add, start, jax.random.split(key, permutations))
    error = jnp.sqrt(squares / (permutations - 1) / permutations)
    return ShapleyAttribution(spread(mean, units), spread(error, units))


def _checked(units: np.ndarray, latent: ClipLatent) -> np.ndarray:
    units = np.asarray(units)
    if units.shape != latent.shape or not np.issubdtype(units.dtype, np.integer):
        raise ValueError(f"the unit map is {units.dtype} {units.shape}, wanted whole numbers of shape {latent.shape}")
    return units
