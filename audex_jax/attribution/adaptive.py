"""Path integrals that choose their own number of points: refine until the ranking no longer moves.

Nested trapezoid rules: T(2n) = (T(n) + M(n)) / 2, with M(n) the midpoints between the points of T(n), so that nothing
is computed twice: 5, 9, 17, 33, ... points. After each refinement the top elements before and after are compared.
On the paths of ReLU networks the error about halves with each doubling, so that what has just changed is some 2.5 times
what is still wrong; refinement stops when that estimate is good enough.

Each clip stops by itself, and what a batch costs is what its clips need, not the most that one of them needs: under
`jax.vmap` the midpoints of all clips that go on stand in one queue, which is worked off some rows at a time. Shapes are
static; only the turns of the loops depend on the clips.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.core.types import Array, Attribution, Bool, Float, Int

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
    ends = np.full(FIRST + 1, 1 / FIRST)
    ends[[0, -1]] /= 2
    first = weighted_sum(attribute, np.linspace(0, 1, FIRST + 1), ends, chunk)
    part, part_of = _hoisted(attribute, jnp.zeros((), first.dtype))
    fine, fine_of = _hoisted(accept, first)
    levels, size = int(np.log2((most - 1) / FIRST)), min(chunk, FIRST)

    @custom_vmap
    def go_on(part_of: list, fine_of: list, first: Attribution) -> Refined:
        found = together([False] * len(part_of), [False] * len(fine_of), part_of, fine_of, first[None])
        return jax.tree.map(lambda a: a[0], found)

    @go_on.def_vmap
    def _(count: int, mapped: list, part_of: list, fine_of: list, first: Array) -> tuple[Refined, Refined]:
        first = first if mapped[2] else jnp.broadcast_to(first, (count, *first.shape))
        found = together(mapped[0], mapped[1], part_of, fine_of, first)
        return found, jax.tree.map(lambda _: True, found)

    def together(
        parts_differ: list, fines_differ: list, part_of: list, fine_of: list, first: Float[Array, "b t d"]
    ) -> Refined:
        rows = size * max(1, len(first) // 2)

        def middles(going: Bool[Array, " b"], cells: Array) -> Float[Array, "b t d"]:
            order, queued = jnp.argsort(~going), going.sum() * cells

            def add(turn: Array, total: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
                number = turn * rows + jnp.arange(rows)
                clip = order[jnp.minimum(number, queued - 1) // cells]  # filling repeats the last clip
                places = (number % cells + 0.5) / cells
                weights = jnp.where(number < queued, 1 / cells, 0)
                own = [a[clip] if differs else a for a, differs in zip(part_of, parts_differ, strict=True)]
                values = _each(part, parts_differ)(own, places)
                return total.at[clip].add(values * weights[:, None, None])

            return jax.lax.fori_loop(0, -(-queued // rows), add, jnp.zeros_like(first))

        def halve(state: tuple) -> tuple:
            level, going, before, points, estimate = state
            cells = FIRST * 2**level
            after = jnp.where(going[:, None, None], (before + middles(going, cells)) / 2, before)
            changed = 1 - jax.vmap(top_overlap, (0, 0, None))(before, after, share)
            estimate = jnp.where(going, 1 - STILL_WRONG * changed, estimate)
            settled = (estimate >= overlap) & _each(fine, fines_differ)(fine_of, after)
            more = going & ~settled & _finite(after) & (level + 1 < levels)
            return level + 1, more, after, jnp.where(going, 2 * cells + 1, points), estimate

        points, estimate = jnp.full(len(first), FIRST + 1), jnp.zeros(len(first), first.dtype)
        start = (jnp.int32(0), _finite(first), first, points, estimate)
        _, _, total, points, estimate = jax.lax.while_loop(lambda state: state[1].any(), halve, start)
        return Refined(total, points, jnp.where(_finite(total), estimate, jnp.nan))

    return go_on(part_of, fine_of, first)


def _finite(totals: Float[Array, "b t d"]) -> Bool[Array, " b"]:
    return jnp.isfinite(totals).all((1, 2))


def _each(pure: Callable[..., Array], differ: Sequence[bool]) -> Callable[..., Array]:
    """`pure` of many arguments at once, the values too where they differ."""
    return jax.vmap(pure, in_axes=([0 if differs else None for differs in differ], 0))


def _hoisted(function: Callable[..., Array], *examples: Array) -> tuple[Callable[..., Array], list[Array]]:
    """A function as `pure(values, *arguments)`, and the values that it had closed over."""
    traced = jax.make_jaxpr(function)(*examples)

    def pure(values: Sequence[Array], *arguments: Array) -> Array:
        return jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, values))(*arguments)[0]

    return pure, list(traced.consts)


def top_overlap(one: Attribution, other: Attribution, share: float) -> Float[Array, ""]:
    """Share of the highest elements of one attribution that are among the highest of the other.

    >>> import jax.numpy as jnp
    >>> float(top_overlap(jnp.array([[4.0, 3.0, 2.0, 1.0]]), jnp.array([[4.0, 1.0, 2.0, 3.0]]), 0.5))
    0.5
    """
    count = max(1, round(share * one.size))
    return (_highest(one, count) & _highest(other, count)).sum() / count


def _highest(values: Attribution, count: int) -> Bool[Array, "t d"]:
    """Where the `count` highest values are (more where several equal the last of them).

    The threshold is found bit by bit, on integers in the order of the floats: a fifth of the time of `lax.top_k`.
    """
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.uint32)
    sign = jnp.uint32(1 << 31)
    ordered = jnp.where(bits >= sign, ~bits, bits | sign)

    def settle(place: Array, threshold: Array) -> Array:
        trial = threshold | (sign >> place.astype(jnp.uint32))
        return jnp.where((ordered >= trial).sum() >= count, trial, threshold)

    return ordered >= jax.lax.fori_loop(0, 32, settle, jnp.uint32(0))
