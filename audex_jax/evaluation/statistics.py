"""Intervals and tests over clips or speakers. NumPy, on figures that were measured already.

Everything takes one value a clip, `[c, ...]`, and treats NaN as "not defined for this clip": it is left out, and
`count` says how many were left.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 2000


class Interval(NamedTuple):
    """A mean with its 95 % interval, arrays of one shape, and the number of clips behind it."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


class Comparison(NamedTuple):
    """Paired difference of two methods on the same clips, its 95 % interval, and McNemar's exact p."""

    difference: float
    low: float
    high: float
    p: float


def bootstrap(values: np.ndarray, groups: Sequence[Hashable] | None = None, resamples: int = RESAMPLES) -> Interval:
    """Percentile bootstrap of the mean; the same draws for all columns, and for every call of one size.

    Args:
        values: one row a clip, `[c, ...]`.
        groups: what is drawn, for example the clips' speakers; None draws clips.
        resamples: number of draws.

    >>> bootstrap(np.ones((10, 2))).low.tolist()
    [1.0, 1.0]
    """
    values = np.asarray(values, float)
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    total, number = np.where(known, flat, 0), known.astype(float)
    if groups is not None:
        index = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        member = np.zeros((len(index), len(flat)))
        member[[index[group] for group in groups], np.arange(len(flat))] = 1
        total, number = member @ total, member @ number
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=resamples).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = (weights @ total) / (weights @ number)
        mean = total.sum(0) / number.sum(0)
    undefined = number.sum(0) == 0
    draws = np.where(undefined, 0, np.where(np.isnan(draws), mean, draws))
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    low, high = np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)
    shape = values.shape[1:]
    return Interval(mean.reshape(shape), low.reshape(shape), high.reshape(shape), known.sum(0).reshape(shape))


def compare(one: np.ndarray, other: np.ndarray) -> Comparison:
    """Is `one` higher than `other` on the same clips?

    The interval is a paired bootstrap over clips. McNemar's p counts the clips where the two differ in being above or
    below 0.5, so that means over seeds are decided by their majority.

    Args:
        one, other: one value a clip, `[c]`.
    """
    interval = bootstrap(np.asarray(one, float) - np.asarray(other, float))
    with np.errstate(invalid="ignore"):
        p = mcnemar(np.asarray(one) > 0.5, np.asarray(other) > 0.5)
    return Comparison(float(interval.mean), float(interval.low), float(interval.high), p)


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Exact two-sided McNemar test: of the clips on which two methods differ, do half favour each?

    >>> mcnemar(np.array([True] * 6 + [False]), np.array([False] * 6 + [False]))
    0.03125
    """
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def area(curve: np.ndarray, grid: Sequence[float], axis: int) -> np.ndarray:
    """Area under curves by the trapezoid rule, as a share of the grid's width; `axis` runs along the grid.

    >>> float(area(np.array([0.0, 1.0, 1.0]), (0.0, 0.5, 1.0), 0))
    0.75
    """
    return np.trapezoid(curve, np.asarray(grid), axis=axis) / (grid[-1] - grid[0])
