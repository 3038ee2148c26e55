"""Verdict: can this attribution be used, and if not, what to do? For people, hence on the host and in words."""

import dataclasses

import numpy as np

from audex_jax.attribution.integrated_gradients import FLOOR, PathAttribution


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether an attribution can be relied on, and a message that says why and what to do."""

    reliable: bool
    message: str


def verdict(result: PathAttribution, *, tolerance: float = 0.05, overlap: float = 0.99) -> Verdict:
    """Judge the attribution of one clip.

    Args:
        result: of one clip.
        tolerance: completeness gap, as a share of |F(z) - F(z0)|, that is still fine; the authors of Integrated
            Gradients advise 5 %.
        overlap: wanted share of top elements that more points would confirm, judged after automatic steps only.

    Returns:
        The verdict on the first fault found, or on none.

    Raises:
        ValueError: a result of several clips.
    """
    attribution, value, baseline_value, gap, points, stable = (np.asarray(field) for field in result)
    if value.ndim:
        raise ValueError(
            "verdict judges one clip; take it out of the batch with `jax.tree.map(lambda a: a[i], result)`"
        )
    difference = float(value - baseline_value)
    if not (np.isfinite(value) and np.isfinite(baseline_value)):
        return Verdict(
            False,
            "The explained number is not finite at the clip or at the baseline. "
            "Check the label and the weights, and that clip and baseline hold finite numbers.",
        )
    if not np.isfinite(attribution).all():
        return Verdict(
            False,
            "The gradient is not finite somewhere between baseline and clip, often at the baseline itself (the slope "
            "of a square root or a logarithm at 0). Use another baseline, or the rule riemann-middle or "
            "gauss-legendre, which leave out both ends.",
        )
    if abs(difference) < FLOOR:
        return Verdict(
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
        return Verdict(True, f"Converged: {found}.")
    if not settled:
        return Verdict(
            False,
            f"The ranking still moves: {found}, but about {1 - float(stable):.1%} of the top elements would change "
            "with more points. Allow more with `most`, or read frames or segments rather than single elements.",
        )
    return Verdict(
        False,
        f"The sum is off: {found}. Take twice as many steps or steps='auto'. The gap need not shrink with every step "
        "added, because the gradient of a ReLU network jumps along the path; if it stays while the ranking no longer "
        "moves, the ranking can still be used, the sums cannot.",
    )
