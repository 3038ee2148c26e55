"""Quadrature on [0, 1]: where along the path a gradient is taken, and how much it counts.

Kept apart from the methods, so that every path method can use every rule. Plain NumPy: nodes and weights are constants
of the compiled program.

The gradient of a ReLU network jumps along the path, so that a high degree gains little. The best rule depends on where
the gradient changes (`python -m benchmarks.attribution`). That of a classifier that reads the latent on a logarithmic
scale, as the bundled one does, changes near the baseline: 16 cells graded towards it rank as well as twice as many
equal cells. For a classifier of the plain latent equal cells are as good.
"""

import math
from typing import Any

import numpy as np

from audex_jax.core.settings import RULES

GRADING = 3.0  # the last cell of a graded path is e^3 times as long as the first; 5 is as good, 0 is equal cells


def graded(u: Any) -> tuple[Any, Any]:
    """Place `(e^(g u) - 1) / (e^g - 1)` on the path for u in [0, 1], and its derivative; NumPy or JAX arrays."""
    power = math.e ** (GRADING * u)
    return (power - 1) / (math.e**GRADING - 1), GRADING * power / (math.e**GRADING - 1)


def graded_trapezoid_sum(cells: Any) -> Any:
    """What the trapezoid rule with that many equal cells makes of the integral of `graded`'s derivative, which is 1."""
    twice = math.e ** (-GRADING / cells)
    return GRADING / (2 * cells) * (1 + twice) / (1 - twice)  # x coth x, x = g / (2 cells)


def nodes_and_weights(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a quadrature rule on [0, 1]; the weights sum to 1.

    | rule                | nodes                                 | exact for polynomials of degree |
    |---------------------|---------------------------------------|---------------------------------|
    | riemann-middle      | middle of each of n equal cells       | 1                               |
    | graded-middle       | middles of n cells that grow by e^3   | 0                               |
    | riemann-trapezoid   | n equally spaced, both ends included  | 1                               |
    | riemann-left, right | left or right end of n equal cells    | 0                               |
    | gauss-legendre      | roots of the n-th Legendre polynomial | 2n - 1                          |
    | clenshaw-curtis     | extrema of a Chebyshev polynomial     | n - 1 (n for odd n)             |

    Captum's trapezoid has weights that sum to (n - 1) / n; multiply ours by that to compare.

    Args:
        rule: a name of the table.
        steps: number n of points, at least 1; with both ends of [0, 1] among them at least 2.

    Returns:
        Nodes and weights, `[s]` each, float64, nodes ascending.

    Raises:
        ValueError: an unknown rule, or too few steps.

    >>> nodes_and_weights("riemann-middle", 4)
    (array([0.125, 0.375, 0.625, 0.875]), array([0.25, 0.25, 0.25, 0.25]))
    """
    if rule not in RULES:
        raise ValueError(f"unknown quadrature rule {rule!r}; choose one of {', '.join(RULES)}")
    least = 2 if rule in ("riemann-trapezoid", "clenshaw-curtis") else 1
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < least:
        raise ValueError(f"steps is {steps!r}; {rule} needs a whole number of at least {least}")
    return FUNCTIONS[rule](int(steps))


def _left(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n) / n, np.full(n, 1 / n)


def _right(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, n + 1) / n, np.full(n, 1 / n)


def _middle(n: int) -> tuple[np.ndarray, np.ndarray]:
    return (np.arange(n) + 0.5) / n, np.full(n, 1 / n)


def _graded_middle(n: int) -> tuple[np.ndarray, np.ndarray]:
    return graded((np.arange(n) + 0.5) / n)[0], np.diff(graded(np.arange(n + 1) / n)[0])


def _trapezoid(n: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.full(n, 1 / (n - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, n), weights


def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(n)  # on [-1, 1]
    return (nodes + 1) / 2, weights / 2


def _clenshaw_curtis(n: int) -> tuple[np.ndarray, np.ndarray]:
    angles = np.pi * np.arange(n) / (n - 1)
    moments = np.zeros(n)  # of the Chebyshev polynomials T_0 ... on [-1, 1]
    moments[::2] = 2 / (1 - np.arange(0, n, 2) ** 2)
    weights = np.linalg.solve(np.cos(np.outer(np.arange(n), angles)), moments)  # T_j at the nodes
    return (1 - np.cos(angles)) / 2, weights / 2


FUNCTIONS = {  # of each of `core.settings.RULES`
    "riemann-middle": _middle,
    "graded-middle": _graded_middle,
    "riemann-trapezoid": _trapezoid,
    "riemann-left": _left,
    "riemann-right": _right,
    "gauss-legendre": _gauss_legendre,
    "clenshaw-curtis": _clenshaw_curtis,
}
