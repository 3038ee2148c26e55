"""Intervals and tests over speakers or clips. NumPy, on figures that were measured already.

Clips of one speaker are alike, and whoever draws them as if they were independent finds differences that are not there.
So what is drawn, or has its sign flipped, are `groups` of clips, the speakers, wherever these are known.

Everything takes one value a clip, `[c, ...]`, and treats NaN as "not defined for this clip": it is left out, and
`count` says how many were left. What cannot be told is NaN, or None for a p.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np
from scipy.stats import norm, t

RESAMPLES = 2000
FEWEST = 6  # groups: no test of fewer can give a p below 0.05, and no interval of fewer holds what it says
FLIPS = 10_000  # draws of signs where they are not counted through
FINEST = 60  # differences that are whole numbers of 1/q, q up to this, are counted through


class Interval(NamedTuple):
    """A mean with its 95 % interval, arrays of one shape, and the number of clips behind it."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


class Comparison(NamedTuple):
    """Paired difference of two methods on the same clips, its 95 % interval, and the p of `sign_flip`."""

    difference: float
    low: float
    high: float
    p: float | None


def all_or_none(speakers: Iterable[str | None]) -> tuple[str, ...] | None:
    """The clips' speakers as `groups`; None, which draws clips, where one of them is not known."""
    found = tuple(speakers)
    return None if None in found else cast(tuple[str, ...], found)


def bootstrap(
    values: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    fewest: int = 2,
) -> Interval:
    """Bootstrap of the mean over clips; the same draws for all columns, and for every call of one size.

    The percentiles are set apart as Student's t asks for so few groups (Hesterberg, arXiv 1411.5279, section 4.3).

    Args:
        values: one row a clip, `[c, ...]`.
        groups: what is drawn, for example the clips' speakers; None draws clips.
        resamples: number of draws.
        fewest: with fewer groups than this, both ends are NaN.

    >>> bootstrap(np.ones((10, 2))).low.tolist()
    [1.0, 1.0]
    """
    values = np.asarray(values, float)
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    total, number = (_sums(a, groups) for a in (np.where(known, flat, 0), known.astype(float)))
    n = len(total)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = (weights @ total) / (weights @ number)
        mean = total.sum(0) / number.sum(0)
    draws = np.where(np.isnan(draws), mean, draws)
    tail = float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))) if n > 1 else 0.0
    low, high = np.quantile(draws, (tail, 1 - tail), axis=0)
    unknown = (number > 0).sum(0) < fewest
    low, high = np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
    shape = values.shape[1:]
    return Interval(mean.reshape(shape), low.reshape(shape), high.reshape(shape), known.sum(0).reshape(shape))


def bracket(low: float | None, high: float | None, form: str = ".3f") -> str:
    """An interval in words, to stand behind its mean; nothing where it cannot be told.

    >>> "0.5" + bracket(0.25, 0.75, ".2f"), "0.5" + bracket(float("nan"), 0.75)
    ('0.5 [0.25, 0.75]', '0.5')
    """
    told = low is not None and high is not None and np.isfinite(low)
    return f" [{low:{form}}, {high:{form}}]" if told else ""


def compare(one: np.ndarray, other: np.ndarray, groups: Sequence[Hashable] | None = None) -> Comparison:
    """Is `one` higher than `other` on the same clips?

    Args:
        one, other: one value a clip, `[c]`.
        groups: the clips' speakers, if they are known; None takes every clip for itself.

    Returns:
        The difference of the means with its paired interval, and the p of `sign_flip`.
    """
    difference = np.asarray(one, float) - np.asarray(other, float)
    mean, low, high, _ = bootstrap(difference, groups, fewest=FEWEST)
    return Comparison(float(mean), float(low), float(high), sign_flip(difference, groups))


def sign_flip(difference: np.ndarray, groups: Sequence[Hashable] | None = None) -> float | None:
    """Two-sided p that paired differences favour neither side: the signs of the groups' sums are flipped.

    Where the sums are whole numbers of some unit, as those of agreements are, all flips are counted through; of clips
    that each are a group, this is McNemar's exact test. Else it is `FLIPS` draws.

    Args:
        difference: one value a clip, `[c]`.
        groups: as in `compare`.

    Returns:
        None where nothing can be told: fewer than `FEWEST` groups, or no difference anywhere.

    >>> sign_flip(np.array([1.0] * 6 + [0.0] * 4))
    0.03125
    """
    difference = np.asarray(difference, float)
    known = ~np.isnan(difference)
    own = None if groups is None else [group for group, one in zip(groups, known, strict=True) if one]
    sums = _sums(difference[known, None], own)[:, 0]
    if len(sums) < FEWEST or np.allclose(difference[known], 0):
        return None
    size, observed = np.abs(sums), abs(sums.sum())
    units = (q for q in range(1, FINEST + 1) if np.allclose(q * size, np.round(q * size), rtol=0, atol=1e-6))
    unit = next(units, None)
    if unit is None:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), (FLIPS, len(size)))
        return float((1 + (np.abs(signs @ size) >= observed - 1e-9).sum()) / (1 + FLIPS))
    steps = np.round(unit * size).astype(int)
    chance = np.ones(1)  # of every sum of the sizes whose sign is plus
    for step in steps:
        chance = (np.pad(chance, (0, step)) + np.pad(chance, (step, 0))) / 2
    reached = np.abs(2 * np.arange(len(chance)) - steps.sum())
    return min(1.0, float(chance[reached >= round(unit * observed)].sum()))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """The p values of one family, corrected so that 5 % is the chance of any false one; None stays and does not count.

    Holm, Scandinavian Journal of Statistics 6, 1979.

    >>> holm([0.01, None, 0.04, 0.5])
    [0.03, None, 0.08, 0.5]
    """
    corrected, least = list(values), 0.0
    order = sorted((p, i) for i, p in enumerate(values) if p is not None)
    for place, (p, i) in enumerate(order):
        least = max(least, min(1.0, (len(order) - place) * p))
        corrected[i] = least
    return corrected


def _sums(values: np.ndarray, groups: Sequence[Hashable] | None) -> np.ndarray:
    """Sum over each group's clips, `[g, ...]` of `[c, ...]`; clips themselves without groups."""
    if groups is None:
        return values
    index = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    member = np.zeros((len(index), len(values)))
    member[[index[group] for group in groups], np.arange(len(values))] = 1
    return member @ values


def area(curve: np.ndarray, grid: Sequence[float], axis: int) -> np.ndarray:
    """Area under curves by the trapezoid rule, as a share of the grid's width; `axis` runs along the grid.

    >>> float(area(np.array([0.0, 1.0, 1.0]), (0.0, 0.5, 1.0), 0))
    0.75
    """
    return np.trapezoid(curve, np.asarray(grid), axis=axis) / (grid[-1] - grid[0])
