"""What a network that was trained over many clips says of this one: one forward pass, and no look at the attribution.

For a target that the network finds absent no element is kept. `audex train-explainer` trains one for a model.
"""

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import NEVER, Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """The network's score of every element; `NEVER` for a target that is absent."""
    assert context.amortised is not None  # `explain.model.suited` sees to it
    found, presence = context.amortised()
    return jnp.where(presence > 0, found, NEVER)
