"""Multi-head attention of one clip, softmax(q k^T / sqrt(e)) v (arXiv 1706.03762), in memory that grows with t.

Written out with the heads first. `jax.nn.dot_product_attention` computes the same with the frames first; a path of
Integrated Gradients then takes a tenth longer on a CPU.

A product with a head's narrow columns fills little of a matrix unit. Where rows are long (`core.lanes`), several heads
are a group: one product reads the group's columns, with zeros outside each head's own. Of two factors of a product the
one that is not differentiated has the zeros, so that its sum over heads is the product's own.
"""

import functools
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
        scores = some @ keys.swapaxes(1, 2) if group == 1 else scores_of(some, keys, group)
        weights = jax.nn.softmax(jnp.where(valid, scores, MASKED))
        return weights @ values if group == 1 else means_of(weights, values)

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
    return x[:, None] * _own(group, x)


def _own(group: int, x: Float[Array, "n t ge"]) -> Float[Array, "g 1 ge"]:
    return jnp.repeat(jnp.eye(group, dtype=x.dtype), x.shape[-1] // group, 1)[:, None]


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def scores_of(queries: Float[Array, "n s ge"], keys: Float[Array, "n t ge"], group: int) -> Float[Array, "n g s t"]:
    """Each head's products of queries and keys."""
    return jnp.einsum("nse,ngte->ngst", queries, apart(keys, group))


@scores_of.defjvp
def _scores_of(group: int, factors: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (queries, keys), (dqueries, dkeys) = factors, tangents
    by_keys = jnp.einsum("ngse,nte->ngst", apart(queries, group), dkeys)
    return scores_of(queries, keys, group), scores_of(dqueries, keys, group) + by_keys


@jax.custom_jvp
def means_of(weights: Float[Array, "n g s t"], values: Float[Array, "n t ge"]) -> Float[Array, "n s ge"]:
    """Each head's weighted sums of the values, in the head's columns."""
    return jnp.einsum("ngst,ngte->nse", weights, apart(values, weights.shape[1]))


@means_of.defjvp
def _means_of(factors: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    (weights, values), (dweights, dvalues) = factors, tangents
    by_values = jnp.einsum("ngst,nte->ngse", weights, dvalues) * _own(weights.shape[1], dvalues)
    return means_of(weights, values), means_of(dweights, values) + by_values.sum(1)
