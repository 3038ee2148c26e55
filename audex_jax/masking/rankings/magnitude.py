"""The loudest elements first, without a look at the classifier: a control that every attribution has to beat."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """|z - filler|."""
    return jnp.abs(latent - filler)
