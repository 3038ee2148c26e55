"""An attack on the classifier, for comparison: what it keeps explains nothing.

It starts from `weighted` and takes a few gradient steps through decoder and classifier down

    L = sum over domains of  softplus(-margin(kept)) + softplus(margin(residual))

where the margin is the target's log odds and the domains are the latent and its audio, encoded and classified again. It
always succeeds: on a classifier of shuffled weights, and for labels that are not in the clip. What it finds lies in the
codec's grid: moved by half a frame, the sounds no longer say so, and classifiers trained apart do not hear it.
"""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.optimise import optimise_mask
from audex_jax.masking.rank import Context
from audex_jax.masking.rankings import weighted


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """Score after `Settings.mask_steps` steps."""
    nothing = jnp.where(context.valid[:, None], filler, latent)  # padding stays as it is

    def loss(mask: Float[Array, "t d"], step: Array) -> Float[Array, ""]:
        part = mask * (latent - nothing)
        kept, residual = context.margins(jnp.stack([nothing + part, latent - part])).T
        return (jax.nn.softplus(-kept) + jax.nn.softplus(residual)).sum()

    start = weighted.score(attribution, latent, filler, context)
    return optimise_mask(loss, start, context.sounding, steps=context.settings.mask_steps)
