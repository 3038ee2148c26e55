"""From an attribution to a listenable explanation: rank elements, keep the top share, fill the rest.

Pure functions of one clip's arrays; codec and classifier arrive as callables (`explain_latent`). An element is one
number of the latent, a (frame, dimension) pair. Frames of padding are never ranked and never counted.

Source: arXiv 2410.07530; the published scripts rank by the signed attribution and replace by the latent of noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from audex_jax.types import Array, Attribution, ClipLatent, ClipValid, Float, Mask

Ranking = Callable[[Attribution, ClipLatent, ClipLatent], Float[Array, "t d"]]


def signed(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """The paper's ranking: evidence for the target first, evidence against it last."""
    return attribution


def absolute(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """By the size of the attribution: what the decision depends on, for or against."""
    return jnp.abs(attribution)


def weighted(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """Absolute attribution times |z - baseline|: of two elements that matter alike, the one that is heard more."""
    return jnp.abs(attribution * (latent - baseline))


def magnitude(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """|z - baseline|, blind to the classifier: the rival that an attribution has to beat."""
    return jnp.abs(latent - baseline)


RANKINGS: dict[str, Ranking] = {
    "signed": signed,
    "absolute": absolute,
    "weighted": weighted,
    "magnitude": magnitude,
}


def keep_mask(score: Float[Array, "t d"], valid: ClipValid, share: float | Array) -> Mask:
    """True for the `share` of a clip's elements with the highest score.

    Exactly `round(share * elements)` elements of the valid frames are kept; of equal scores the one that comes first
    (by frame, then by dimension).

    Args:
        score: `[t, d]`.
        valid: the clip's own frames, `[t]`.
        share: 0 to 1.

    Returns:
        Mask `[t, d]`, False in padding.

    >>> import jax.numpy as jnp
    >>> keep_mask(jnp.array([[3.0, 1.0], [2.0, 0.0], [9.0, 9.0]]), jnp.array([True, True, False]), 0.5).tolist()
    [[True, False], [True, False], [False, False]]
    """
    ranked = jnp.where(valid[:, None], score, -jnp.inf).ravel()
    order = jnp.argsort(-ranked, stable=True)
    rank = jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=order.dtype))
    count = jnp.round(share * valid.sum() * score.shape[1]).astype(order.dtype)
    return (rank < count).reshape(score.shape) & valid[:, None]


def fill(latent: ClipLatent, mask: Mask, filler: ClipLatent) -> ClipLatent:
    """`latent` where `mask` is True, `filler` elsewhere, `[t, d]`."""
    return jnp.where(mask, latent, filler)


class Edited(NamedTuple):
    """What becomes of one clip's latent: the elements that were kept, and both halves filled up."""

    mask: Mask
    kept: ClipLatent
    deleted: ClipLatent


def edit(
    latent: ClipLatent, score: Float[Array, "t d"], valid: ClipValid, share: float | Array, filler: ClipLatent
) -> Edited:
    """Keep the top `share` and fill the rest; and the complement, the top share filled and the rest kept.

    Args:
        latent: `[t, d]`.
        score: rank of the elements, highest first, `[t, d]`.
        valid: the clip's own frames, `[t]`.
        share: 0 to 1.
        filler: what stands where nothing is kept, `[t, d]`.

    Returns:
        `Edited` with mask, kept and deleted latents, each `[t, d]`.
    """
    mask = keep_mask(score, valid, share)
    return Edited(mask, fill(latent, mask, filler), fill(latent, ~mask, filler))
