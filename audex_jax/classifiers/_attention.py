"""Multi-head attention of one clip, softmax(q k^T / sqrt(e)) v (arXiv 1706.03762), in memory that grows with t."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipValid, Float

BLOCK = 128  # queries at a time; their scores are computed again for the gradient


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
    frames = len(projected)
    queries, keys, values = (part.reshape(frames, heads, -1) for part in jnp.split(projected, 3, axis=-1))

    def mix(some: Float[Array, "s h e"]) -> Float[Array, "s h e"]:
        return jax.nn.dot_product_attention(some, keys, values, mask=valid[None, None])

    if frames <= BLOCK:
        return mix(queries).reshape(frames, -1)
    blocks = jnp.pad(queries, ((0, -frames % BLOCK), (0, 0), (0, 0))).reshape(-1, BLOCK, *queries.shape[1:])
    return jax.lax.map(jax.checkpoint(mix), blocks).reshape(-1, projected.shape[1] // 3)[:frames]
