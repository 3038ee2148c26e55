"""Multi-head attention of one clip, softmax(q k^T / sqrt(e)) v (arXiv 1706.03762), with its gradient by hand.

What JAX derives from the quotient in a softmax subtracts terms of nearly equal size where a score dominates, and loses
a digit or two of a path's gradients. Here that term is a sum over the outputs o, as in arXiv 2205.14135, equation 4:

    o = p v        dv = p^T do        ds = p (do v^T - sum of do * o)        dq = ds k        dk = ds^T q

which is also faster (`benchmarks/NOTES.md`). Long clips are taken in blocks of queries, and what p was is computed once
more for the gradient, from the logarithm l of each row's sum of exponentials (arXiv 2307.08691, algorithms 1 and 2):

    p = exp(q k^T - l)

There scores are laid out as (q k^T)^T = k q^T, a row for each key: in four of the five products with a block's scores a
CPU then lays out the other factor, which is small, and the mask and l meet rows and columns as they are.
"""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipValid, Float
from audex_jax.devices.mapping import each_core_is_a_device

LONG, BLOCK = 192, 128  # frames beyond which a clip is long; frames of it that look at a time
UNSEEN = -1e30  # score of a frame that may not be looked at


def attend(projected: Float[Array, "t w3"], valid: ClipValid, heads: int) -> Float[Array, "t w"]:
    """Every frame's mean of the values, weighted in each head by how its query meets the keys.

    Of long clips `BLOCK` frames look at a time, and look again for the gradient: memory grows with t, not t^2. Where
    each device is a core one head does so after the other, whose keys and values stay in the cache.

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
    queries *= queries.shape[-1] ** -0.5
    if frames <= LONG:
        return _side_by_side(_attend(queries, keys, values, valid))
    queries = jnp.pad(queries, ((0, 0), (0, -frames % BLOCK), (0, 0)))
    one = lambda head: _attend_in_blocks(*head, valid)  # noqa: E731
    by_head = queries, keys, values
    mixed = jax.lax.map(one, by_head) if each_core_is_a_device() else jax.vmap(one)(by_head)
    return _side_by_side(mixed)[:frames]


@jax.custom_vjp
def _attend(queries: Array, keys: Array, values: Array, valid: Array) -> Float[Array, "h t e"]:
    return _forward(queries, keys, values, valid)[0]


def _forward(q: Array, k: Array, v: Array, valid: Array) -> tuple[Array, tuple[Array, ...]]:
    scores = _product(q, k, 1, 1) + jnp.where(valid, 0.0, UNSEEN)
    weights = jax.nn.softmax(scores, axis=-1)
    mixed = _product(weights, v, 1, 0)
    return mixed, (q, k, v, weights, mixed)


def _backward(saved: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, weights, mixed = saved
    for_scores = weights * (_product(slope, v, 1, 1) - (slope * mixed).sum(-1, keepdims=True))
    return _product(for_scores, k, 1, 0), _product(for_scores, q, 0, 0), _product(weights, slope, 0, 0), None


_attend.defvjp(_forward, _backward)


@jax.custom_vjp
def _attend_in_blocks(queries: Array, keys: Array, values: Array, valid: Array) -> Float[Array, "t e"]:
    with_mask = _masked(keys, valid)
    look = lambda some: values.T @ jax.nn.softmax(_product(with_mask, some, 1, 1), axis=0)  # noqa: E731
    return _joined(jax.lax.map(look, _blocks(_with_one(queries))))


def _forward_in_blocks(q: Array, k: Array, v: Array, valid: Array) -> tuple[Array, tuple[Array, ...]]:
    """The same, normalised after the product with the values: a pass less, but no softmax that DeepLIFT would know."""
    with_mask, turned = _masked(k, valid), v.T

    def look(some: Array) -> tuple[Array, Array]:
        scores = _product(with_mask, some, 1, 1)
        most = scores.max(0)
        weights = jnp.exp(scores - most)
        total = weights.sum(0)
        return (turned @ weights) / total, most + jnp.log(total)

    mixed, logs = jax.lax.map(look, _blocks(_with_one(q)))
    mixed = _joined(mixed)
    return mixed, (q, k, v, valid, mixed, logs)


def _backward_in_blocks(saved: tuple[Array, ...], slope: Array) -> tuple[Array, Array, Array, None]:
    q, k, v, valid, mixed, logs = saved
    with_mask, turned = _masked(k, valid), k.T

    def look_again(sums: tuple[Array, Array], block: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        some, slope_of_some, log, common = block
        weights = jnp.exp(_product(with_mask, some, 1, 1) - log)
        for_scores = weights * (_product(v, slope_of_some, 1, 1) - common)
        return (sums[0] + for_scores @ some[:, :-1], sums[1] + weights @ slope_of_some), turned @ for_scores

    common = (slope * mixed).sum(-1)
    blocks = _blocks(_with_one(q)), _blocks(slope), logs, common.reshape(logs.shape)
    (for_k, for_v), for_q = jax.lax.scan(look_again, (jnp.zeros_like(k), jnp.zeros_like(v)), blocks)
    return _joined(for_q), for_k, for_v, None


_attend_in_blocks.defvjp(_forward_in_blocks, _backward_in_blocks)


def _masked(keys: Float[Array, "t e"], valid: Array) -> Float[Array, "t e1"]:
    """Keys of which the product with `_with_one(queries)` is the scores, `UNSEEN` added where it belongs."""
    return jnp.concatenate([keys, jnp.where(valid, 0.0, UNSEEN).astype(keys.dtype)[:, None]], axis=1)


def _with_one(queries: Float[Array, "t e"]) -> Float[Array, "t e1"]:
    return jnp.pad(queries, ((0, 0), (0, 1)), constant_values=1)


def _blocks(x: Float[Array, "t e"]) -> Float[Array, "m b e"]:
    return x.reshape(-1, BLOCK, x.shape[-1])


def _joined(blocks: Float[Array, "m e b"]) -> Float[Array, "t e"]:
    return blocks.swapaxes(1, 2).reshape(-1, blocks.shape[1])


def _by_head(x: Float[Array, "t w"], heads: int) -> Float[Array, "h t e"]:
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)


def _side_by_side(x: Float[Array, "h t e"]) -> Float[Array, "t w"]:
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def _product(a: Array, b: Array, axis: int, other: int) -> Array:
    """Products of each head's two matrices, or of one head's, summed over an axis of each, 0 or 1."""
    heads = tuple(range(a.ndim - 2))
    return jax.lax.dot_general(a, b, (((len(heads) + axis,), (len(heads) + other,)), (heads, heads)))
