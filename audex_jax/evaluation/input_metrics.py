"""The field's scores of an explanation that is given to the classifier as an input (L-MAC family).

All take probabilities of the explained class, one a clip: `whole` for the full clip, `kept` for the explanation alone,
`rest` for the clip without it; all return one value a clip. Source: SpeechBrain, `recipes/ESC50/interpret/
interpreter_brain.py`, and arXiv 2403.13086. They were defined for soft masks on spectrograms; here masks are hard and
what is taken out is filled.
"""

import jax.numpy as jnp
import numpy as np

from audex_jax.core.types import Array, Float

PerClip = Array | np.ndarray
EPSILON = 1e-10  # SpeechBrain's


def average_increase(whole: PerClip, kept: PerClip) -> Array:
    """AI: 100 where the explanation alone is surer than the clip, else 0. Higher is better.

    Equal numbers are no increase; where `whole` is 1 in float32 there can be none.
    """
    return 100.0 * (jnp.asarray(kept) > whole)


def average_drop(whole: PerClip, kept: PerClip) -> Array:
    """AD: share of the probability that the explanation alone loses, in percent. Lower is better."""
    return 100 * jnp.maximum(whole - kept, 0) / (whole + EPSILON)


def average_drop_speechbrain(
    whole: Float[Array, "b k"], kept: Float[Array, "b k"], target: Array
) -> Float[Array, " b"]:
    """AD as SpeechBrain's recipes print it: a softmax over what are probabilities already.

    It cannot exceed 100 (1 - 1/e) = 63.2; never compare it with `average_drop`.

    Args:
        whole, kept: probabilities of all classes, `[b, k]`.
        target: explained class, `[b]`.
    """
    again = [jnp.exp(p) / jnp.exp(p).sum(-1, keepdims=True) for p in (whole, kept)]
    first, second = (jnp.take_along_axis(p, jnp.asarray(target)[:, None], 1)[:, 0] for p in again)
    return average_drop(first, second)


def average_gain(whole: PerClip, kept: PerClip) -> Array:
    """AG: share of the missing probability that the explanation alone gains, in percent. Higher is better."""
    return 100 * jnp.maximum(kept - whole, 0) / (1 - whole + EPSILON)


def faithfulness(whole: PerClip, rest: PerClip) -> Array:
    """FF: probability that is lost when the explanation is taken out, -1 to 1. Higher is better."""
    return jnp.asarray(whole) - rest
