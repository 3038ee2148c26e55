"""The ranking `weighted`, corrected by a few gradient steps through decoder and classifier; see `masking.optimise`."""

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.optimise import optimise_mask
from audex_jax.masking.rank import Context
from audex_jax.masking.rankings import weighted


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """Score after `Settings.mask_steps` steps."""
    start = weighted.score(attribution, latent, filler, context)
    return optimise_mask(context.margins, latent, start, context.valid, filler, steps=context.settings.mask_steps)
