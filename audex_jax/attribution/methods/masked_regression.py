"""Masked regression: random sets of units are taken out, and a linear model of F says what each unit adds.

Ridge regression on random masks, as LIME fits it (Ribeiro, Singh and Guestrin, arXiv 1602.04938), without its kernel.
Units are segments of time in groups of dimensions. It takes `Settings.budget` forward passes, and no gradient.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from audex_jax.attribution.path import PathAttribution, ends, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Bool, ClipLatent, ClipValid, Float, Int

RIDGE = 1.0  # penalty, where a unit that is always there or never counts 1


def attribute(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    *,
    valid: ClipValid,
    key: Array,
    settings: Settings,
    units: Callable[[], tuple[Int[Array, "t d"], int]],
    **_: Any,
) -> PathAttribution:
    """Coefficient of each unit as an `AttributionMethod`; the elements of a unit share it evenly."""
    number, count = units()
    budget, chunk = settings.budget, settings.chunk
    elements = jnp.zeros(count).at[number].add(jnp.broadcast_to(valid[:, None], latent.shape))
    how = {"units": number, "counted": elements > 0, "key": key, "budget": budget, "chunk": chunk}
    found = masked_regression(f, latent, baseline, **how)
    attribution = (found / jnp.maximum(elements, 1))[number]
    return with_gap(attribution, *ends(f, latent, baseline), settings.budget, valid)


def masked_regression(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    *,
    units: Int[Array, "t d"],
    counted: Bool[Array, " u"],
    key: Array,
    budget: int = Settings.budget,
    chunk: int = 8,
) -> Float[Array, " u"]:
    """What each unit adds to F in a linear model, `[u]`.

    Args:
        f, latent, baseline: as in `integrated_gradients`.
        units: number of each element's unit, `[t, d]`.
        counted: units that can count; others, such as padding, are left as they are.
        key: random key. What is drawn for a unit does not depend on how many there are.
        budget: number of random masks; each keeps a share of the units between 0.1 and 0.9.
        chunk: masked copies held in memory at once.
    """
    shares, draws = jax.random.split(key)
    share = jax.random.uniform(shares, (budget, 1), minval=0.1, maxval=0.9)
    drawn = jax.vmap(lambda unit: jax.random.uniform(jax.random.fold_in(draws, unit), (budget,)), out_axes=1)
    masks = (drawn(jnp.arange(len(counted))) < share) | ~counted
    values = jax.lax.map(lambda mask: f(jnp.where(mask[units], latent, baseline)), masks, batch_size=chunk)
    present = masks - masks.mean(0)
    normal = present.T @ present + RIDGE * jnp.eye(len(counted))
    return jnp.linalg.solve(normal, present.T @ (values - values.mean()))
