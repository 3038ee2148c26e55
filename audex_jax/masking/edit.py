"""From an attribution to a listenable explanation: rank elements, keep the top share, fill the rest.

Pure functions of one clip's arrays; codec and classifier arrive as callables (`explain_latent`). An element is one
number of the latent, a (frame, dimension) pair. Frames of padding are never ranked and never counted.

Source: arXiv 2410.07530; the published scripts rank by the signed attribution and replace by the latent of noise.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float, Int, Mask

NEUTRAL = 0.1  # share of the sum of |A| that the neutral band of `positive` holds
TINY = 1e-30  # keeps a ranking of zeros defined
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


def positive(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """Evidence for the target first, then a neutral band by |z - baseline|, evidence against it last.

    The signed ranking puts what says nothing and what speaks against the target into one tail. Here the weakest
    elements, those that together hold `NEUTRAL` of the sum of |A|, are neutral, and of them the loud ones are kept
    first, since they carry the sound.
    """
    size = jnp.abs(attribution)
    ascending = jnp.sort(size.ravel())
    inside = jnp.cumsum(ascending) <= NEUTRAL * ascending.sum()
    neutral = size <= jnp.where(inside, ascending, 0).max()
    loudness = jnp.abs(latent - baseline)
    tail = jnp.where(neutral, loudness / jnp.maximum(loudness.max(), TINY), attribution / jnp.maximum(size.max(), TINY))
    return jnp.where(neutral, tail, jnp.where(attribution > 0, 1 + tail, tail))


def frames(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """Whole frames by the sum of their absolute attributions: cuts in time, and none across dimensions."""
    return jnp.broadcast_to(jnp.abs(attribution).sum(1, keepdims=True), attribution.shape)


def mixed(attribution: Attribution, latent: ClipLatent, baseline: ClipLatent) -> Float[Array, "t d"]:
    """`weighted` times the weight of the element's frame: loud elements that matter, close together in time."""
    score = weighted(attribution, latent, baseline)
    return score * score.sum(1, keepdims=True)


RANKINGS: dict[str, Ranking] = {
    "signed": signed,
    "absolute": absolute,
    "weighted": weighted,
    "magnitude": magnitude,
    "positive": positive,
    "frames": frames,
    "mixed": mixed,
}


def element_ranks(score: Float[Array, "t d"], valid: ClipValid) -> Int[Array, "t d"]:
    """Place of each element when the clip's elements are sorted by falling score: 0 for the highest, `[t, d]`.

    Of equal scores the one that comes first (by frame, then by dimension) is first. Padding comes last.
    """
    ranked = jnp.where(valid[:, None], score, -jnp.inf).ravel()
    order = jnp.argsort(-ranked, stable=True)
    return jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=order.dtype)).reshape(score.shape)


def top_share(ranks: Int[Array, "t d"], valid: ClipValid, share: float | Array) -> Mask:
    """True for the first `round(share * elements)` elements by rank; elements of padding neither count nor are kept."""
    count = jnp.round(share * valid.sum() * ranks.shape[1]).astype(ranks.dtype)
    return (ranks < count) & valid[:, None]


def keep_mask(score: Float[Array, "t d"], valid: ClipValid, share: float | Array) -> Mask:
    """True for the `share` of a clip's elements with the highest score; see `element_ranks` and `top_share`.

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
    return top_share(element_ranks(score, valid), valid, share)


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
