"""Mask optimisation: start from a ranking and correct it by the gradient of a loss of the mask.

A few gradient steps on the ranking of one clip, at another share at each step. The masks are hard, as they are in use;
the gradient passes them as if they were the score (straight-through).

Relatives: meaningful perturbations (Fong and Vedaldi, arXiv 1704.03296; 1910.08485), straight-through estimation
(Bengio et al., arXiv 1308.3432). A mask that is fitted to a classifier can flatter it: the loss decides whether that is
an explanation or an attack. Compare `rankings/matched_mask.py` and `rankings/adversarial_mask.py`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipValid, Float, Int
from audex_jax.masking.rank import element_ranks, keep_mask

SHARES = (0.2, 0.1, 0.4)
RATE = 0.05  # root mean square of a step, where 1 is the way from the last rank to the first

Loss = Callable[[Float[Array, "t d"], Int[Array, ""]], Float[Array, ""]]


def optimise_mask(
    loss: Loss,
    score: Float[Array, "t d"],
    counted: ClipValid,
    *,
    shares: tuple[float, ...] = SHARES,
    steps: int = 4,
    rate: float = RATE,
    smooth: Callable[[Float[Array, "t d"]], Float[Array, "t d"]] = lambda score: score,
) -> Float[Array, "t d"]:
    """Score of every element after `steps` gradient steps from a given one; it ranks all shares at once.

    Args:
        loss: of a mask, 1.0 for elements that are kept and 0.0 for others, `[t, d]`, and the number of the step.
        score: where to start; only its order is used, `[t, d]`.
        counted: frames whose elements are ranked, `[t]`.
        shares: at which the ranking is to hold; the steps take them in turn.
        steps: number of steps, one evaluation of the loss and its gradient each.
        rate: see `RATE`.
        smooth: a symmetric linear map that scores pass before they are ranked, such as a window over frames: it keeps
            the mask from fitting single elements.

    Returns:
        The new score, `[t, d]`.
    """
    count = counted.sum() * score.shape[1]
    start = jnp.where(counted[:, None], 1 - element_ranks(score, counted) / count, 0)

    def step(score: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        number, share = at
        mask = keep_mask(smooth(score), counted, share).astype(score.dtype)
        gradient = smooth(jax.grad(loss)(mask, number) * counted[:, None])
        size = jnp.sqrt(jnp.square(gradient).sum() / count)
        return score - rate * gradient / jnp.maximum(size, 1e-12), None

    return smooth(jax.lax.scan(step, start, (jnp.arange(steps), jnp.resize(jnp.asarray(shares), (steps,))))[0])


def margin(logits: Float[Array, "*b k"], target: Array, versus: Array | int = -1) -> Float[Array, "*b"]:
    """Log odds of the target against all others, or against `versus` alone if that is not -1.

    >>> import jax.numpy as jnp
    >>> float(margin(jnp.array([2.0, 0.5]), jnp.int32(0)))
    1.5
    """
    own = jnp.arange(logits.shape[-1]) == target
    others = jax.nn.logsumexp(jnp.where(own, -jnp.inf, logits), axis=-1)
    return pick(logits, target) - jnp.where(jnp.asarray(versus) < 0, others, pick(logits, versus))


def contrast(logits: Float[Array, " k"], target: Array, versus: Array) -> Float[Array, ""]:
    """The target's logit, minus that of `versus` if that is not -1."""
    return pick(logits, target) - pick(logits, versus)


def pick(values: Float[Array, "*b k"], index: Array | int) -> Float[Array, "*b"]:
    """`values[..., index]`, and 0 for an index below 0, by a sum: a TPU reads places that depend on data one by one.

    >>> import jax.numpy as jnp
    >>> pick(jnp.array([3.0, 5.0]), jnp.int32(1)).tolist(), pick(jnp.array([3.0, 5.0]), -1).tolist()
    (5.0, 0.0)
    """
    return jnp.where(jnp.arange(values.shape[-1]) == index, values, 0).sum(-1)
