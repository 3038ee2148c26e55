"""Recordings of any length as codes, with segments: what `Encodec.encode_codes` and `decode_codes` do."""

import itertools
from typing import Any

import jax.numpy as jnp
import numpy as np

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.codecs.encodec.segments import Segment, decode_segments, encode_segments, segment_bounds
from audex_jax.core.types import Array, Float
from audex_jax.io.codes import CodedClip
from audex_jax.io.codes import require_fit as check_fit


def encode(codec: Any, audio: Float[Array, "n c"], bandwidth: float) -> CodedClip:
    """Codes of one recording of any length at `bandwidth` kilobits per second.

    Raises:
        AudexError: the model has no such bandwidth, the audio is empty or has another number of channels.
    """
    codec.config.codebooks_for(bandwidth)
    segments = encode_segments(codec, audio[None])
    codes = [np.asarray(codec.codes(segment.latent, bandwidth))[0] for segment in segments]
    return CodedClip(
        np.concatenate(codes).astype(np.uint16),
        np.cumsum([0, *(len(part) for part in codes)]),
        np.array([segment.scale.item() for segment in segments], np.float32),
        len(audio),
        codec.config.name,
    )


def decode(codec: Any, clip: CodedClip) -> np.ndarray:
    """Audio `[n, c]` of codes.

    Raises:
        CodesError: the codes are not of this codec.
    """
    require_fit(codec.config, clip)
    segments = [
        Segment(codec.dequantize(jnp.asarray(clip.codes[None, start:end], jnp.int32)), jnp.full((1, 1, 1), scale))
        for start, end, scale in zip(clip.bounds[:-1], clip.bounds[1:], clip.scales, strict=True)
    ]
    return np.asarray(decode_segments(codec, segments, clip.samples))[0]


def require_fit(config: EncodecConfig, clip: CodedClip) -> None:
    """Refuse codes that a codec did not make.

    Raises:
        CodesError: the codes are not of this codec.
    """
    check_fit(clip, config.name, config.codebooks, config.codebook_size, bounds_of(config, clip.samples))


def bounds_of(config: EncodecConfig, samples: int) -> list[int]:
    """First frame of each segment of a recording of `samples` samples, and the number of frames at the end."""
    frames = (config.frames(end - start) for start, end in segment_bounds(config, samples))
    return list(itertools.accumulate(frames, initial=0))
