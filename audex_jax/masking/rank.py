"""Order the elements of a latent and take the top share of them. An element is one (frame, dimension) pair.

Pure functions of one clip's arrays. Frames of padding, and those that do not sound, are never ranked and never counted:
a share of kept elements is one of what sounds. What orders the elements is a ranking, one a file of `masking/rankings`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float, Int, Latent, Mask

NEVER = -1e30  # score of elements that are never kept, whatever the share


class Context(NamedTuple):
    """What a ranking may ask about the clip beside its attribution. All functions are differentiable.

    Attributes:
        valid: the clip's own frames, `[t]`.
        sounding: those of them whose elements are ranked, `[t]`; see `core.clips.sounding_frames`.
        margins: log odds of the target for m edits of the latent, in the latent domain and through the audio,
            `[m, t, d] -> [2, m]`.
        resound: `(latents [m, t, d], moved)`, what their sounds, moved by half a hop or not, are encoded as,
            `[m, t, d]`, and the log odds of the target, `[m]`.
        features: `(latents [m, t, d], rate, key)`, the classifier's last hidden state `[m, t, w]` and the log odds of
            the target, `[m]`, under dropout, drawn alike for all m; None for classifiers that do not tell.
        amortised: gives what the model's mask network says, the scores `[t, d]` and the log odds that the target is in
            the clip; None for a model without one.
        units: gives the unit of each element in time and frequency, `[t, d]`, and the number of units; see
            `explain.units`.
        frame_rate: frames a second.
        key: random key of this clip.
        settings: how to explain.
    """

    valid: ClipValid
    sounding: ClipValid
    margins: Callable[[Latent], Float[Array, "w m"]]
    resound: Callable[[Latent, Any], tuple[Latent, Float[Array, " m"]]]
    features: Callable[[Latent, float, Array], tuple[Float[Array, "m t w"], Float[Array, " m"]]] | None
    amortised: Callable[[], tuple[Float[Array, "t d"], Float[Array, ""]]] | None
    units: Callable[[], tuple[Int[Array, "t d"], int]]
    frame_rate: float
    key: Array
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


def element_ranks(score: Float[Array, "t d"], counted: ClipValid) -> Int[Array, "t d"]:
    """Place of each element when those of the counted frames are sorted by falling score: 0 for the highest, `[t, d]`.

    Of equal scores the one that comes first (by frame, then by dimension) is first. Frames that do not count come last.
    """
    ranked = jnp.where(counted[:, None], score, -jnp.inf).ravel()
    order = jnp.argsort(-ranked, stable=True)
    return jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=order.dtype)).reshape(score.shape)


def places(score: Float[Array, "t d"], counted: ClipValid) -> Float[Array, "t d"]:
    """Place of every element among those of the counted frames, 1 for the highest score and 0 below the lowest."""
    return 1 - element_ranks(score, counted) / (counted.sum() * score.shape[1])


def top_share(ranks: Int[Array, "t d"], counted: ClipValid, share: float | Array) -> Mask:
    """True for the first `round(share * elements)` elements by rank; other frames' neither count nor are kept."""
    return (ranks < kept_count(counted, ranks.shape[1], share)) & counted[:, None]


def kept_count(counted: ClipValid, width: int, share: float | Array) -> Int[Array, ""]:
    """`round(share * elements)`: how many of the counted frames' elements a share is."""
    return jnp.round(share * counted.sum() * width).astype(jnp.int32)


def keep_mask(score: Float[Array, "t d"], counted: ClipValid, share: float | Array) -> Mask:
    """True for the `share` of the counted frames' elements with the highest score.

    It is `top_share(element_ranks(score, counted), counted, share)` without a sort, which is slow on a CPU and on a
    TPU: the lowest score that is kept is found bit by bit, by counting the elements from a score upwards.

    Args:
        score: `[t, d]`; elements of the score `NEVER` are not kept, whatever the share.
        counted: frames whose elements are counted, `[t]`: the clip's own, or those that sound.
        share: 0 to 1.

    Returns:
        Mask `[t, d]`, False in other frames.

    >>> import jax.numpy as jnp
    >>> keep_mask(jnp.array([[3.0, 1.0], [2.0, 0.0], [9.0, 9.0]]), jnp.array([True, True, False]), 0.5).tolist()
    [[True, False], [True, False], [False, False]]
    """
    order = sortable(jnp.where(counted[:, None], score, -jnp.inf)).ravel()
    bits = order.dtype.itemsize * 8
    count = kept_count(counted, score.shape[1], share)

    def halve(place: Int[Array, ""], lowest: Array) -> Array:
        higher = lowest | jnp.asarray(1, order.dtype) << (bits - 1 - place).astype(order.dtype)
        return jnp.where((order >= higher).sum() >= count, higher, lowest)

    lowest = jax.lax.fori_loop(0, bits, halve, jnp.zeros((), order.dtype))
    above, equal = order > lowest, order == lowest
    first = equal & (equal.cumsum() <= count - above.sum())
    return (above | first).reshape(score.shape) & counted[:, None] & (score > NEVER)


def sortable(score: Float[Array, "*n"]) -> Array:
    """Unsigned integers in the order of the numbers: -0 is 0, and what is not a number is lowest.

    >>> sortable(jnp.array([jnp.nan, -jnp.inf, -2.0, -0.0, 0.0, 1e-30])).argsort(stable=True).tolist()
    [0, 1, 2, 3, 4, 5]
    """
    width = score.dtype.itemsize * 8
    kind = jnp.dtype(f"uint{width}")
    sign = jnp.asarray(1, kind) << (width - 1)
    known = jnp.where(jnp.isnan(score), -jnp.inf, jnp.where(score == 0, 0, score))
    pattern = jax.lax.bitcast_convert_type(known, kind)
    return jnp.where(pattern >= sign, ~pattern, pattern | sign)
