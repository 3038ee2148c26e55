"""Multi-head attention of one clip, softmax(q k^T / sqrt(e)) v (arXiv 1706.03762), in memory that grows with t.

Written out with the heads first. `jax.nn.dot_product_attention` computes the same with the frames first; a path of
Integrated Gradients then takes a tenth longer on a CPU.

A product with a head's narrow columns fills little of a matrix unit. Where rows are long (`core.lanes`), several heads
are a group: one product reads all of the group's columns, of keys and values with zeros outside each head's own.
"""

import math

import jax
import jax.numpy as jnp

from audex_jax.core.lanes import lanes
from audex_jax.core.types import Array, ClipValid, Float

BLOCK = 128  # queries at a time; their scores are computed again for the gradient
MASKED = -1e30  # score of a frame that does not count


def attend(projected: Float[Array, "t w3"], valid: ClipValid, heads: int) -> Float[Array, "t w"]:
    """Every frame's mean of the values, weighted in each head by the products of its query with all keys.

    Args:
        projected: queries, keys and values side by side, in each the heads side by side, `[t, 3 w]`.
        valid: frames whose keys count, `[t]`.
        heads: their number; it divides w.

    Returns:
        The heads' means side by side, `[t, w]`.

    >>> import jax.numpy as jnp
    >>> attend(jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, 3.0]]), jnp.ones(2, bool), 1).tolist()
    [[2.0], [2.0]]
    """
    frames, size = len(projected), projected.shape[1] // 3 // heads
    group = math.gcd(heads, max(1, lanes() // size))
    parts = jnp.split(projected, 3, axis=-1)
    queries, keys, values = (part.reshape(frames, heads // group, -1).swapaxes(0, 1) for part in parts)

    def mix(some: Float[Array, "n s ge"]) -> Float[Array, "n s ge"]:
        some = some * size**-0.5
        if group == 1:
            return jax.nn.softmax(jnp.where(valid, some @ keys.swapaxes(1, 2), MASKED)) @ values
        scores = jnp.einsum("nse,ngte->ngst", some, apart(keys, group))
        weights = jax.nn.softmax(jnp.where(valid, scores, MASKED))
        return jnp.einsum("ngst,ngte->nse", weights, apart(values, group))

    if frames <= BLOCK:
        mixed = mix(queries)
    else:
        blocks = jnp.pad(queries, ((0, 0), (0, -frames % BLOCK), (0, 0)))
        blocks = blocks.reshape(len(queries), -1, BLOCK, queries.shape[-1]).swapaxes(0, 1)
        mixed = jax.lax.map(jax.checkpoint(mix), blocks).swapaxes(0, 1).reshape(len(queries), -1, values.shape[-1])
    return mixed[:, :frames].swapaxes(0, 1).reshape(frames, -1)


def apart(x: Float[Array, "n t ge"], group: int) -> Float[Array, "n g t ge"]:
    """For each head of a group the same rows, zeros outside the head's own columns.

    >>> apart(jnp.array([[[1.0, 2.0]]]), 2).tolist()
    [[[[1.0, 0.0]], [[0.0, 2.0]]]]
    """
    own = jnp.repeat(jnp.eye(group, dtype=x.dtype), x.shape[-1] // group, 1)
    return x[:, None] * own[:, None]
