"""Order the elements of a latent and take the top share of them. An element is one (frame, dimension) pair.

Pure functions of one clip's arrays. Frames of padding are never ranked and never counted. What orders the elements is a
ranking, one a file of `masking/rankings`.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax.numpy as jnp

from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float, Int, Latent, Mask


class Context(NamedTuple):
    """What a ranking may ask about the clip beside its attribution.

    Attributes:
        valid: the clip's own frames, `[t]`.
        margins: log odds of the target for m edits of the latent, in the latent domain and through the audio,
            `[m, t, d] -> [2, m]`; differentiable.
        settings: how to explain.
    """

    valid: ClipValid
    margins: Callable[[Latent], Float[Array, "w m"]]
    settings: Settings


class Ranking(Protocol):
    """The function `score` of a file in `masking/rankings`; the file's name is the ranking's name."""

    def __call__(
        self, attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context
    ) -> Float[Array, "t d"]:
        """Score of every element, `[t, d]`; the highest are kept first.

        Args:
            attribution: of the clip, `[t, d]`.
            latent: the clip, `[t, d]`.
            filler: what stands where an element is taken out, `[t, d]`.
            context: further facts and functions of the clip.
        """
        ...


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
