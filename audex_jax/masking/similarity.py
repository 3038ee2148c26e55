"""How alike two sounds are, by their latents or by what a classifier makes of them."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Float

COMPANDING = 10.0  # latents are compared as asinh(COMPANDING * z): logarithmic, as loudness is heard
TINY = 1e-12


def cosine(one: Array, other: Array, weights: Array | float = 1.0) -> Float[Array, ""]:
    """Cosine of the angle between two arrays, in a product that is weighted by element."""
    norms = (weights * one * one).sum() * (weights * other * other).sum()
    return (weights * one * other).sum() / jnp.sqrt(norms + TINY)
