"""Relaxed masks: between 0 and 1, so that gradients reach the scores of a network that is trained to rank."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipValid, Float

WIDEST = 16.0  # standard deviations of the score between which the threshold is sought
HALVINGS = 24


def relaxed_mask(
    score: Float[Array, "t d"], counted: ClipValid, share: float | Array, softness: float | Array
) -> Float[Array, "t d"]:
    """sigmoid((s - c) / softness) with c such that the mean over the counted frames is `share`; 0 in other frames.

    s is the score in standard deviations over the counted frames. The less soft, the nearer to `rank.keep_mask`.
    The threshold c is found by bisection; its derivative is that of the equation that it solves.

    Args:
        score: `[t, d]`.
        counted: frames whose elements are ranked, `[t]`.
        share: 0 to 1.
        softness: above 0.

    >>> mask = relaxed_mask(jnp.arange(8.0)[:, None], jnp.ones(8, bool), 0.25, 0.01)
    >>> mask[:, 0].round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    own = jnp.broadcast_to(counted[:, None], score.shape).astype(score.dtype)
    count = jnp.maximum(own.sum(), 1)
    mean = (score * own).sum() / count
    deviation = jnp.sqrt((jnp.square(score - mean) * own).sum() / count + 1e-12)
    score = (score - mean) / jax.lax.stop_gradient(deviation)
    fixed = jax.lax.stop_gradient(score)

    def mean_over(threshold: Array) -> Array:
        return (jax.nn.sigmoid((fixed - threshold) / softness) * own).sum() / count

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        above = mean_over(middle) > share
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    bounds = jnp.asarray(-WIDEST, score.dtype), jnp.asarray(WIDEST, score.dtype)
    low, high = jax.lax.fori_loop(0, HALVINGS, halve, bounds)
    threshold = (low + high) / 2
    inside = jax.nn.sigmoid((fixed - threshold) / softness)
    weight = inside * (1 - inside) * own
    threshold += (weight * (score - fixed)).sum() / jnp.maximum(weight.sum(), 1e-6)  # 0, but for its derivative
    return jax.nn.sigmoid((score - threshold) / softness) * own
