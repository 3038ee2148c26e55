"""Size of the attribution times that of the element: of two elements that matter alike, the louder one first."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """|A (z - filler)|."""
    return jnp.abs(attribution * (latent - filler))
