"""Convergence: can this attribution be used, and if not, what to do? In words, computed on the host."""

import dataclasses

import numpy as np

from audex_jax.attribution.path import FLOOR, PathAttribution


@dataclasses.dataclass(frozen=True)
class Convergence:
    """Whether an attribution can be relied on, and a message that says why and what to do."""

    reliable: bool
    message: str


def convergence(result: PathAttribution, *, tolerance: float = 0.05, overlap: float = 0.99) -> Convergence:
    """Check the attribution of one clip.

    Args:
        result: of one clip.
        tolerance: accepted completeness gap, as a share of |F(z) - F(z0)|; the authors of Integrated Gradients advise
            5 %.
        overlap: wanted share of top elements that more points would confirm, checked after automatic steps only.

    Returns:
        The first fault found, or that there is none.

    Raises:
        ValueError: a result of several clips.
    """
    attribution, value, baseline_value, gap, points, stable = (np.asarray(field) for field in result)
    if value.ndim:
        raise ValueError(
            "convergence is checked for one clip; take it out of the batch with `jax.tree.map(lambda a: a[i], result)`"
        )
    difference = float(value - baseline_value)
    if not (np.isfinite(value) and np.isfinite(baseline_value)):
        return Convergence(
            False,
            "The explained number is not finite at the clip or at the baseline. "
            "Check the label and the weights, and that clip and baseline hold finite numbers.",
        )
    if not np.isfinite(attribution).all():
        return Convergence(
            False,
            "The gradient is not finite somewhere between baseline and clip, often at the baseline itself (as that of "
            "a square root or a logarithm at 0). Use another baseline, or the rule graded-middle, riemann-middle or "
            "gauss-legendre, which leave out both ends.",
        )
    if abs(difference) < FLOOR:
        return Convergence(
            False,
            f"Clip and baseline score the same ({float(value):.4g} and {float(baseline_value):.4g}): there is no "
            "difference to explain. Choose another baseline, or a contrast with another label.",
        )
    share = abs(float(gap / difference))
    settled = np.isnan(stable) or stable >= overlap
    found = (
        f"after {int(points)} points the attribution adds up to within {share:.1%} of the difference {difference:.4g}"
    )
    if share <= tolerance and settled:
        return Convergence(True, f"Converged: {found}.")
    if not settled:
        return Convergence(
            False,
            f"The ranking still changes: {found}, but about {1 - float(stable):.1%} of the top elements would change "
            "with more points. Allow more with `most`, or read frames or segments rather than single elements.",
        )
    return Convergence(
        False,
        f"The sum is off: {found}. Along a path take twice as many steps or steps='auto'. The gap need not shrink with "
        "every step added, because the gradient of a ReLU network jumps along the path; if it stays while the ranking "
        "no longer changes, the ranking can still be used, the sums cannot. Methods without a path need not add up.",
    )
