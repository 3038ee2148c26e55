"""Which frames of a padded batch belong to its clips."""

import jax.numpy as jnp

from audex_jax.core.protocols import Codec
from audex_jax.core.types import Array, Int, Valid


def valid_frames(codec: Codec, lengths: Int[Array, " b"], frames: int) -> Valid:
    """True for the frames that clips of `lengths` samples have in a batch of `frames` frames, `[b, t]`."""
    return jnp.arange(frames) < codec.frames(jnp.asarray(lengths))[:, None]
