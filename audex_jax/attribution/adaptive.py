"""Path integrals that choose their own number of points: they refine until the ranking no longer changes.

Nested trapezoid rules: T(2n) = (T(n) + M(n)) / 2, with M(n) the midpoints between the points of T(n), so that no point
is computed twice: 5, 9, 17, 33, ... points. After each refinement the top elements before and after are compared.
On the paths of ReLU networks the error is about halved by each doubling, so that the last change is some 2.5 times the
remaining error; refinement stops when that estimate is small enough.

Under `jax.vmap` the loop runs until the last clip has finished; a clip that has finished keeps its result.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.core.types import Array, Attribution, Bool, ClipValid, Float, Int

FIRST = 4  # cells of the first rule
REMAINING = 0.4  # remaining error of the ranking as a share of its last change; measured 0.3 to 0.45


class AdaptiveIntegral(NamedTuple):
    """An integral, its number of points, and the estimated overlap of its top elements with the exact integral's."""

    integral: Attribution
    points: Int[Array, ""]
    overlap: Float[Array, ""]


def adaptive_quadrature(
    integrand: Callable[[Array], Attribution],
    accept: Callable[[Attribution, Array], Bool[Array, ""]],
    *,
    overlap: float,
    share: float,
    most: int,
    chunk: int,
    valid: ClipValid | None = None,
) -> AdaptiveIntegral:
    """Integrate over [0, 1] until the ranking has converged.

    Args:
        integrand: attribution as a function of the place on the path.
        accept: what else must hold before refinement stops, given the integral and its number of cells.
        overlap: wanted share of the top elements that are also in the top of the exact integral.
        share: share of the elements that counts as top.
        most: the largest number of points, converged or not.
        chunk: points held in memory at once.
        valid: the clip's own frames; only their elements are ranked. None for all frames.

    Raises:
        ValueError: `most` allows no refinement, or a share or overlap outside (0, 1].
    """
    if most < 2 * FIRST + 1:
        raise ValueError(f"at most {most} points were allowed; automatic steps need {2 * FIRST + 1} or more")
    if not (0 < overlap <= 1 and 0 < share <= 1):
        raise ValueError(f"overlap is {overlap} and share {share}; both are shares, above 0 and up to 1")
    weights = np.full(FIRST + 1, 1 / FIRST)
    weights[[0, -1]] /= 2
    first = weighted_sum(integrand, np.linspace(0, 1, FIRST + 1), weights, chunk)
    size = 1 << (min(chunk, FIRST).bit_length() - 1)  # a power of two divides the number of cells

    def midpoints(cells: Array) -> Attribution:
        def add(turn: Array, total: Attribution) -> Attribution:
            places = (turn * size + jnp.arange(size) + 0.5) / cells
            return total + jax.vmap(integrand)(places).sum(0)

        return jax.lax.fori_loop(0, cells // size, add, jnp.zeros_like(first)) / cells

    def halve(state: tuple) -> tuple:
        cells, _, before, _ = state
        after = ((before + midpoints(cells)) / 2).astype(first.dtype)
        changed = 1 - top_overlap(before, after, share, valid)
        estimate = 1 - REMAINING * changed
        settled = (estimate >= overlap) & accept(after, 2 * cells)
        return 2 * cells, ~settled & _finite(after) & (4 * cells + 1 <= most), after, estimate

    start = (jnp.int32(FIRST), _finite(first), first, jnp.float32(0))
    cells, _, integral, estimate = jax.lax.while_loop(lambda state: state[1], halve, start)
    return AdaptiveIntegral(integral, cells + 1, jnp.where(_finite(integral), estimate, jnp.nan))


def top_overlap(one: Attribution, other: Attribution, share: float, valid: ClipValid | None = None) -> Float[Array, ""]:
    """Share of the highest elements of one attribution that are among the highest of the other.

    Elements of equal value are taken in order, so that both sides have equally many.

    Args:
        one, other: attributions of one clip, `[t, d]`.
        share: share of the elements that counts as highest.
        valid: the clip's own frames, `[t]`; elements of other frames do not count. None for all frames.

    >>> import jax.numpy as jnp
    >>> float(top_overlap(jnp.array([[4.0, 3.0, 2.0, 1.0]]), jnp.array([[4.0, 1.0, 2.0, 3.0]]), 0.5))
    0.5
    """
    valid = jnp.ones(len(one), bool) if valid is None else valid
    most = max(1, round(share * one.size))
    count = jnp.clip(jnp.round(share * valid.sum() * one.shape[1]), 1, most)

    def highest(values: Attribution) -> Bool[Array, " td"]:
        _, places = jax.lax.top_k(jnp.where(valid[:, None], values, -jnp.inf).ravel(), most)
        return jnp.zeros(values.size, bool).at[places].set(jnp.arange(most) < count)

    return (highest(one) & highest(other)).sum() / count


def _finite(integral: Attribution) -> Bool[Array, ""]:
    return jnp.isfinite(integral).all()
