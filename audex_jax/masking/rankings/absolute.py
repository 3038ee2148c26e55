"""By the size of the attribution: what the decision depends on, for or against."""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """|A|."""
    return jnp.abs(attribution)
