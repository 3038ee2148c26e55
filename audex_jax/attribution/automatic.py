"""Path integrals that choose their own number of points: refine until the ranking no longer moves.

Nested trapezoid rules: T(2n) = (T(n) + M(n)) / 2, with M(n) the midpoints between the points of T(n), so that nothing
is computed twice: 5, 9, 17, 33, ... points. After each refinement the top elements before and after are compared.
On the paths of ReLU networks the error about halves with each doubling, so that what has just changed is some 2.5 times
what is still wrong; refinement stops when that estimate is good enough. Shapes are static: a `lax.while_loop` on
device runs until the last clip of a batch is content, and the clips that are content keep what they have.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.types import Array, Attribution, Bool, Float, Int

FIRST = 4  # cells of the first rule
STILL_WRONG = 0.4  # share of the last change in the ranking that is still to come; measured 0.3 to 0.45


class Refined(NamedTuple):
    """A refined integral, the points that it took, and the estimated overlap of its top elements with the limit's."""

    attribution: Attribution
    points: Int[Array, ""]
    overlap: Float[Array, ""]


def refine(
    attribute: Callable[[Array], Attribution],
    accept: Callable[[Attribution], Bool[Array, ""]],
    *,
    overlap: float,
    share: float,
    most: int,
    chunk: int,
) -> Refined:
    """Integrate over [0, 1] until the ranking has converged.

    Args:
        attribute: the integrand, attribution as a function of the place on the path.
        accept: what else must hold of the attribution before refinement stops.
        overlap: wanted share of the top elements that the exact integral has in its top, too.
        share: share of the elements that counts as top.
        most: stop at this many points in any case, converged or not.
        chunk: points held in memory at once.

    Raises:
        ValueError: `most` allows no refinement, or a share or overlap outside (0, 1].
    """
    if most < 2 * FIRST + 1:
        raise ValueError(f"at most {most} points were allowed; automatic steps need {2 * FIRST + 1} or more")
    if not (0 < overlap <= 1 and 0 < share <= 1):
        raise ValueError(f"overlap is {overlap} and share {share}; both are shares, above 0 and up to 1")
    levels = int(np.log2((most - 1) / FIRST))
    size = min(chunk, FIRST)
    ends = np.full(FIRST + 1, 1 / FIRST)
    ends[[0, -1]] /= 2
    first = weighted_sum(attribute, np.linspace(0, 1, FIRST + 1), ends, chunk)

    def middles(cells: Array) -> Attribution:
        def add(number: Array, total: Attribution) -> Attribution:
            cell = number * size + jnp.arange(size)
            places = (jnp.minimum(cell, cells - 1) + 0.5) / cells  # filling repeats the last point
            weights = jnp.where(cell < cells, 1 / cells, 0)
            return total + (jax.vmap(attribute)(places) * weights[:, None, None]).sum(0)

        return jax.lax.fori_loop(0, -(-cells // size), add, jnp.zeros_like(first))

    def unsettled(state: tuple) -> Array:
        level, total, estimate = state
        settled = (estimate >= overlap) & accept(total)
        return (level < levels) & ~settled & jnp.isfinite(total).all()

    def halve(state: tuple) -> tuple:
        level, before, _ = state
        after = (before + middles(FIRST * 2**level)) / 2
        return level + 1, after, 1 - STILL_WRONG * (1 - top_overlap(before, after, share))

    level, total, estimate = jax.lax.while_loop(unsettled, halve, (jnp.int32(0), first, jnp.zeros((), first.dtype)))
    return Refined(total, FIRST * 2**level + 1, jnp.where(jnp.isfinite(total).all(), estimate, jnp.nan))


def top_overlap(one: Attribution, other: Attribution, share: float) -> Float[Array, ""]:
    """Share of the highest elements of one attribution that are among the highest of the other.

    >>> import jax.numpy as jnp
    >>> float(top_overlap(jnp.array([[4.0, 3.0, 2.0, 1.0]]), jnp.array([[4.0, 1.0, 2.0, 3.0]]), 0.5))
    0.5
    """
    count = max(1, round(share * one.size))
    chosen = [jnp.zeros(a.size, bool).at[jax.lax.top_k(a.ravel(), count)[1]].set(True) for a in (one, other)]
    return (chosen[0] & chosen[1]).sum() / count
