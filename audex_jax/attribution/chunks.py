"""Weighted sums over many points in bounded memory: what every attribution method here is made of."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.types import Array


def weighted_sum(function: Callable[[Any], Array], points: Any, weights: Array | np.ndarray, chunk: int) -> Array:
    """Sum of `weights[i] * function(points[i])`, `chunk` points at a time.

    `jax.vmap` takes one chunk at once, `jax.lax.scan` adds the chunks up: memory depends on `chunk`, not on the number
    of points. Chunks are even; what is missing in the last is filled with the last point at weight 0, a point that is
    taken anyway, so that its value is as finite as the others.

    Args:
        function: array-valued function of one point.
        points: array, or pytree of arrays, whose leading axis counts the points, `[s, ...]`.
        weights: of the points, `[s]`.
        chunk: points held in memory at once.

    Returns:
        The sum, of the function's shape.

    Raises:
        ValueError: no points, or a chunk below 1.

    >>> import numpy as np
    >>> float(weighted_sum(lambda x: x**2, np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 0.5]), chunk=2))
    9.5
    """
    index, used = chunk_index(len(weights), chunk)
    points = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], points)
    weights = jnp.where(used, jnp.asarray(weights)[index], 0)
    function = jax.jit(function)  # traced once for its shape and for the sum
    value = jax.eval_shape(jax.vmap(function), jax.tree.map(lambda leaf: leaf[0], points))

    def add(total: Array, part: tuple) -> tuple[Array, None]:
        values = jax.vmap(function)(part[0])
        flat = values.reshape(len(values), -1)
        added = jnp.matmul(part[1].astype(value.dtype), flat, precision="highest")  # faster than to scale and add
        return total + added.reshape(total.shape), None

    return jax.lax.scan(add, jnp.zeros(value.shape[1:], value.dtype), (points, weights))[0]


def chunk_index(count: int, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut `count` points into even chunks of at most `chunk`, and of more than half of it, with the least filling.

    Returns:
        Number of the point at each place, and False where that place is filling, `[chunks, points]` each.
    """
    for name, number in (("number of points", count), ("chunk", chunk)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ValueError(f"{name} is {number!r}; it needs a whole number of at least 1")
    sizes = range(min(count, chunk), min(count, chunk) // 2, -1)
    size = min(sizes, key=lambda size: -count % size)  # the largest with the least filling
    places = np.arange(count + -count % size).reshape(-1, size)
    return np.minimum(places, count - 1), places < count
