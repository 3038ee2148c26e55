"""Multi-head attention of one clip, softmax(q k^T / sqrt(e)) v (arXiv 1706.03762), with its gradient by hand.

What JAX derives from the quotient in a softmax subtracts terms of nearly equal size where a score dominates, and loses
a digit or two of a path's gradients. Here that term is a sum over the outputs o, as in arXiv 2205.14135, equation 4:

    o = p v        dv = p^T do        ds = p (do v^T - sum of do * o)        dq = ds k        dk = ds^T q

which is also faster (`benchmarks/NOTES.md`).
"""

import jax
import jax.numpy as jnp

from audex_jax.types import Array, ClipValid, Float

LONG, BLOCK = 256, 64  # frames beyond which a clip is long; frames of it that look at a time


def attend(projected: Float[Array, "t w3"], valid: ClipValid, heads: int) -> Float[Array, "t w"]:
    """Every frame's mean of the values, weighted in each head by how its query meets the keys.

    Of long clips `BLOCK` frames look at a time, and look again for the gradient: memory grows with t, not t^2.

    Args:
        projected: queries, keys and values side by side, in each the heads side by side, `[t, 3 w]`.
        valid: frames that may be looked at, `[t]`.
        heads: their number; it divides w.

    Returns:
        The heads' means side by side, `[t, w]`. Differentiable in reverse mode.

    >>> import jax.numpy as jnp
    >>> attend(jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]]), jnp.ones(2, bool), 1).tolist()
    [[2.0], [2.0]]
    """
    frames = len(projected)
    queries, keys, values = (_by_head(part, heads) for part in jnp.split(projected, 3, axis=-1))
    if frames <= LONG:
        return _side_by_side(_attend(queries, keys, values, valid))
    queries = jnp.pad(queries, ((0, 0), (0, -frames % BLOCK), (0, 0)))
    blocks = queries.reshape(heads, -1, BLOCK, queries.shape[-1]).swapaxes(0, 1)
    mixed = jax.lax.map(jax.checkpoint(lambda some: _attend(some, keys, values, valid)), blocks)
    return _side_by_side(mixed.swapaxes(0, 1).reshape(queries.shape))[:frames]


@jax.custom_vjp
def _attend(queries: Array, keys: Array, values: Array, valid: Array) -> Float[Array, "h t e"]:
    return _forward(queries, keys, values, valid)[0]


def _forward(q: Array, k: Array, v: Array, valid: Array) -> tuple[Array, tuple[Array, ...]]:
    scores = _product(q * q.shape[-1] ** -0.5, k, 2, 2) + jnp.where(valid, 0.0, -1e30)
    weights = jax.nn.softmax(scores, axis=-1)
    mixed = _product(weights, v, 2, 1)
    return mixed, (q, k, v, weights, mixed)


def _backward(saved: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, weights, mixed = saved
    for_scores = weights * (_product(slope, v, 2, 2) - (slope * mixed).sum(-1, keepdims=True)) * q.shape[-1] ** -0.5
    return _product(for_scores, k, 2, 1), _product(for_scores, q, 1, 1), _product(weights, slope, 1, 1), None


_attend.defvjp(_forward, _backward)


def _by_head(x: Float[Array, "t w"], heads: int) -> Float[Array, "h t e"]:
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)


def _side_by_side(x: Float[Array, "h t e"]) -> Float[Array, "t w"]:
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def _product(a: Array, b: Array, axis: int, other: int) -> Array:
    """Products of each head's two matrices, summed over an axis of each."""
    return jax.lax.dot_general(a, b, (((axis,), (other,)), ((0,), (0,))))
