"""Edit a latent: keep the elements of a mask and fill the others, or fill them and keep the others."""

from typing import NamedTuple

import jax.numpy as jnp

from audex_jax.core.types import Array, ClipLatent, ClipValid, Float, Mask
from audex_jax.masking.rank import keep_mask


class Edited(NamedTuple):
    """What becomes of one clip's latent: the mask of what was kept, and both halves, filled up."""

    mask: Mask
    kept: ClipLatent
    residual: ClipLatent


def fill(latent: ClipLatent, mask: Mask, valid: ClipValid, filler: ClipLatent) -> ClipLatent:
    """`latent` where `mask` is True, `filler` elsewhere, `[t, d]`; frames of padding stay as the codec made them."""
    return jnp.where(mask | ~valid[:, None], latent, filler)


def edit(
    latent: ClipLatent,
    score: Float[Array, "t d"],
    valid: ClipValid,
    sounding: ClipValid,
    share: float | Array,
    filler: ClipLatent,
) -> Edited:
    """Keep the top `share` and fill the rest; and the complement, the top share filled and the rest kept.

    Source: arXiv 2410.07530; the published scripts rank by the signed attribution and fill with the latent of noise.

    Args:
        latent: `[t, d]`.
        score: orders the elements, highest first, `[t, d]`.
        valid: the clip's own frames, `[t]`.
        sounding: those of them that share the elements, `[t]`; others are never kept.
        share: 0 to 1.
        filler: what stands where nothing is kept, `[t, d]`.

    Returns:
        `Edited` with mask, kept and residual latents, each `[t, d]`.
    """
    mask = keep_mask(score, sounding, share)
    return Edited(mask, fill(latent, mask, valid, filler), fill(latent, ~mask, valid, filler))
