"""Evidence for the target first, then a neutral band by loudness, evidence against it last.

The signed ranking puts what says nothing and what speaks against the target into one tail. Here the weakest elements,
those that together hold `NEUTRAL` of the sum of |A|, are neutral, and of them the loud ones are kept first, since they
carry the sound.
"""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context

NEUTRAL = 0.1  # share of the sum of |A| that the neutral band holds
TINY = 1e-30  # keeps a ranking of zeros defined


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """Above 1 for evidence for the target, 0 to 1 in the neutral band, negative for evidence against it."""
    size = jnp.abs(attribution)
    ascending = jnp.sort(size.ravel())
    inside = jnp.cumsum(ascending) <= NEUTRAL * ascending.sum()
    neutral = size <= jnp.where(inside, ascending, 0).max()
    loudness = jnp.abs(latent - filler)
    tail = jnp.where(neutral, loudness / jnp.maximum(loudness.max(), TINY), attribution / jnp.maximum(size.max(), TINY))
    return jnp.where(neutral, tail, jnp.where(attribution > 0, 1 + tail, tail))
