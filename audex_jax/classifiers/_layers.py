"""What classifiers share. A convolution is a linear layer that reads neighbours side by side."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipValid, Float


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Elements dropped at a rate, the others louder in turn; without a key nothing is."""
    if key is None or rate == 0.0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def neighbours(x: Array, size: int, stride: int = 1, axis: int = 0) -> Array:
    """Each place of an axis, or every `stride`-th, with its neighbours side by side in the last axis; zeros beyond.

    Args:
        x: any array.
        size: places side by side, an odd number.
        stride: from one place to the next.
        axis: not the last one.

    Returns:
        The array with ceil(places / stride) places and `size` times as long a last axis.

    >>> neighbours(jnp.array([[1], [2], [3]]), 3).tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    """
    x = jnp.moveaxis(x, axis, 0)
    places, half = len(x), size // 2
    padded = jnp.pad(x, [(half, half)] + [(0, 0)] * (x.ndim - 1))
    parts = [padded[i : i + places : stride] for i in range(size)]
    return jnp.moveaxis(jnp.concatenate(parts, -1), 0, axis)


def pool(x: Float[Array, "t w"], valid: ClipValid) -> Float[Array, " w2"]:
    """Mean and maximum over the valid frames side by side, `[2 w]`; zeros for a clip without any."""
    own = valid[:, None]
    mean = jnp.where(own, x, 0).sum(0) / jnp.maximum(valid.sum(), 1)
    highest = jnp.where(valid.any(), jnp.where(own, x, -jnp.inf).max(0), 0)
    return jnp.concatenate([mean, highest])
