"""Clips in a padded batch: their lengths, the frames that belong to them, and which of these sound."""

import jax.numpy as jnp

from audex_jax.core.protocols import Codec
from audex_jax.core.types import Array, Audio, Int, Valid

SOUNDING_DB = -40.0  # power of a frame below that of the clip's loudest one, from which on it sounds
SPREAD = 2  # frames around, which codecs code the same sound in


def whole_frames(audio: Audio, hop: int) -> Audio:
    """Clips `[b, n, c]`, filled up with zeros to whole frames of `hop` samples."""
    return jnp.pad(audio, ((0, 0), (0, -audio.shape[1] % hop), (0, 0)))


def cut_or_padded(audio: Audio, samples: int) -> Audio:
    """Clips `[b, n, c]` of `samples` samples: cut, or with zeros behind their end."""
    audio = audio[:, :samples]
    return jnp.pad(audio, ((0, 0), (0, samples - audio.shape[1]), (0, 0)))


def valid_frames(codec: Codec, lengths: Int[Array, " b"], frames: int) -> Valid:
    """True for the frames that clips of `lengths` samples have in a batch of `frames` frames, `[b, t]`."""
    return jnp.arange(frames) < codec.frames(jnp.asarray(lengths))[:, None]


def sounding_frames(codec: Codec, audio: Audio, valid: Valid) -> Valid:
    """True for the frames whose elements are counted: those that sound, and `SPREAD` to either side, `[b, t]`.

    A frame of `hop` samples sounds if its power is at most `-SOUNDING_DB` below that of the clip's loudest frame. In
    digital silence all frames count.

    Args:
        codec: of the frames.
        audio: zero-padded clips, `[b, n, c]`.
        valid: their own frames, `[b, t]`.
    """
    count, frames, hop = len(audio), valid.shape[1], codec.hop
    power = jnp.square(cut_or_padded(audio, frames * hop)).reshape(count, frames, -1).mean(2)
    loud = jnp.pad(power >= 10 ** (SOUNDING_DB / 10) * power.max(1, keepdims=True), ((0, 0), (SPREAD, SPREAD)))
    return valid & jnp.stack([loud[:, i : i + frames] for i in range(2 * SPREAD + 1)]).any(0)
