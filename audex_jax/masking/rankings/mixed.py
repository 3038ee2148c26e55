"""The ranking `weighted` times the weight of the element's frame: loud elements that matter, close together in time."""

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context
from audex_jax.masking.rankings import weighted


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """w times the sum of w over the frame, where w is the score of `weighted`."""
    own = weighted.score(attribution, latent, filler, context)
    return own * own.sum(1, keepdims=True)
