"""Whole frames by the sum of their absolute attributions: cuts in time, and none across dimensions."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """Sum over dimensions of |A|, the same for all elements of a frame."""
    return jnp.broadcast_to(jnp.abs(attribution).sum(1, keepdims=True), attribution.shape)
