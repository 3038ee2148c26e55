"""How an attribution is shaped, whatever it does: how few elements hold how much of it."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Float


def sparseness(attribution: Float[Array, "..."]) -> Float[Array, ""]:
    """Gini index of the absolute attributions: 0 where all are alike, towards 1 where one holds everything.

    With a = sort(|A| + 1e-7), i from 1 to n: sum (2 i - n - 1) a_i / (n sum a). Chalasani et al., arXiv 1810.06583; as
    in Quantus.

    >>> import jax.numpy as jnp
    >>> round(float(sparseness(jnp.array([0.0, 0.0, 0.0, 1.0]))), 4)
    0.75
    """
    a = jnp.sort(jnp.abs(attribution).ravel() + 1e-7)
    n = a.size
    place = 2 * jnp.arange(1, n + 1) - n - 1
    return (place * a).sum() / (n * a.sum())


def complexity(attribution: Float[Array, "..."]) -> Float[Array, ""]:
    """Entropy of the absolute attributions as shares of their sum, in nats: up to ln n where all are alike.

    Bhatt et al., arXiv 2005.00631; as in Quantus. Only comparable for equal n.

    >>> import jax.numpy as jnp
    >>> round(float(complexity(jnp.ones(4))), 4)
    1.3863
    """
    share = jnp.abs(attribution).ravel()
    share = share / jnp.maximum(share.sum(), 1e-30)
    return -jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-30)), 0).sum()
