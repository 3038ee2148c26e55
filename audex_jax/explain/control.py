"""The wrong-target control: what does the same method make of a label that is not in the clip?

An explanation is worth something only if the same method, asked for a label that the clip does not hold, makes no sound
that is classified as that label. The compiled step is asked once more, with that label as the target.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Bool, Float, Int

ABSENT = 0.05  # probability below which a label is not in the clip


class Control(NamedTuple):
    """The label that was asked for, `[b]`, -1 for none; the logits of the sound made for it, `[b, k]`; was any, `[b]`?

    None is made where the ranking finds the label absent and keeps nothing.
    """

    target: Int[Array, " b"]
    logits: Float[Array, "b k"]
    made: Bool[Array, " b"]


def wrong_targets(logits: Float[Array, "*b k"]) -> Int[Array, "*b"]:
    """The strongest label of probability below `ABSENT`; -1 where there is none.

    >>> wrong_targets(jnp.array([[9.0, 1.0, 2.0], [0.1, 0.2, 0.3]])).tolist()
    [2, -1]
    """
    absent = jnp.where(jax.nn.softmax(logits) < ABSENT, logits, -jnp.inf)
    return jnp.where(jnp.isfinite(absent).any(-1), absent.argmax(-1), -1)
