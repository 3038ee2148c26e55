"""Whole recordings through a codec: segments of any length, loudness out and in again, overlap-add.

Source: `encodec/model.py` (`encode`, `_encode_frame`, `decode`) and `encodec/utils.py` (`_linear_overlap_add`).
Models without segments take the whole clip as one. `codec` is an `Encodec`, whose own methods call this module:

    start        0           stride        2 stride
    audio        |===========+=============+====|        segment_samples >= stride; the last one may be a single sample
    segments     |-----------------|
                             |------------------|
                                           |----|
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array, Audio, Float, Latent


class Segment(NamedTuple):
    """One encoded segment of a batch of clips: its latent `[b, t, d]` and the loudness taken out of it `[b, 1, 1]`."""

    latent: Latent
    scale: Float[Array, "b 1 1"]


def segment_bounds(config: EncodecConfig, samples: int) -> list[tuple[int, int]]:
    """Start and end of every segment of a clip, in samples.

    >>> from audex_jax.codecs.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
    >>> segment_bounds(ENCODEC_48KHZ, 48_000)
    [(0, 48000), (47520, 48000)]
    >>> segment_bounds(ENCODEC_24KHZ, 100)
    [(0, 100)]
    """
    if config.segment_samples is None or config.segment_stride is None:
        return [(0, samples)]
    return [(start, min(start + config.segment_samples, samples)) for start in range(0, samples, config.segment_stride)]


def encode_segments(codec: Any, audio: Audio) -> list[Segment]:
    """Continuous latents of a clip of any length, one segment at a time.

    Args:
        codec: the model.
        audio: `[b, n, c]` with at least one sample, at any loudness.

    Returns:
        One `Segment` a segment, before the quantiser.

    Raises:
        AudexError: the audio is empty or has another number of channels than the model.
    """
    _, samples, channels = audio.shape
    if samples == 0:
        raise AudexError("the audio holds no samples; at least one is needed")
    if channels != codec.config.channels:
        raise AudexError(f"the audio has {channels} channels, {codec.config.name} takes {codec.config.channels}")
    return [_encode(codec, audio[:, start:end]) for start, end in segment_bounds(codec.config, samples)]


def quantize_segments(codec: Any, segments: Sequence[Segment], bandwidth: float) -> list[Segment]:
    """The segments as the decoder would receive them at `bandwidth` kilobits per second.

    Raises:
        AudexError: the model has no such bandwidth.
    """
    return [segment._replace(latent=codec.quantize(segment.latent, bandwidth)) for segment in segments]


def decode_segments(codec: Any, segments: Sequence[Segment], samples: int) -> Audio:
    """Audio `[b, samples, c]` of encoded segments, each at its own loudness again, overlapping parts faded over."""
    decoded = [_decode(codec, segment) for segment in segments]
    if codec.config.segment_stride is None:
        (audio,) = decoded
    else:
        audio = overlap_add(decoded, codec.config.segment_stride)
    return audio[:, :samples]


def reconstruct(codec: Any, audio: Audio, bandwidth: float | None = None) -> Audio:
    """What the codec keeps of a recording of any length, `[b, n, c] -> [b, n, c]`.

    Args:
        codec: the model.
        audio: the recording.
        bandwidth: kilobits per second; None leaves the latent continuous.

    Raises:
        AudexError: empty audio, a wrong number of channels, or a bandwidth that the model does not have.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from audex_jax.codecs.encodec.config import TINY
    >>> from audex_jax.codecs.encodec import Encodec
    >>> codec = Encodec(TINY, rngs=nnx.Rngs(0))
    >>> reconstruct(codec, jnp.ones((1, 95, 1)), bandwidth=0.8).shape
    (1, 95, 1)
    """
    segments = encode_segments(codec, audio)
    if bandwidth is not None:
        segments = quantize_segments(codec, segments, bandwidth)
    return decode_segments(codec, segments, audio.shape[1])


def overlap_add(pieces: Sequence[Float[Array, "b _ c"]], stride: int) -> Audio:
    """Sum pieces that start `stride` samples apart, weighted by a triangle and divided by the sum of weights.

    The triangle is that of the first piece's length; shorter pieces use its beginning. Where only one piece lies the
    weights cancel; where two overlap the second is faded in linearly as the first is faded out.

    Args:
        pieces: `[b, m, c]`, m differing from piece to piece.
        stride: samples from one start to the next, at most the length of any piece but the last.

    Returns:
        Audio `[b, (pieces - 1) * stride + m of the last one, c]`.
    """
    longest = pieces[0].shape[1]
    ramp = np.linspace(0, 1, longest + 2)[1:-1]
    triangle = 0.5 - np.abs(ramp - 0.5)
    total = max(index * stride + piece.shape[1] for index, piece in enumerate(pieces))
    weights = np.zeros(total)
    for index, piece in enumerate(pieces):
        weights[index * stride : index * stride + piece.shape[1]] += triangle[: piece.shape[1]]
    audio = jnp.zeros((pieces[0].shape[0], total, pieces[0].shape[2]), pieces[0].dtype)
    for index, piece in enumerate(pieces):
        start, length = index * stride, piece.shape[1]
        share = triangle[:length] / weights[start : start + length]
        audio = audio.at[:, start : start + length].add(piece * jnp.asarray(share, piece.dtype)[:, None])
    return audio


@jax.jit
def _encode(codec: Any, audio: Audio) -> Segment:
    scale = codec.loudness(audio)
    return Segment(codec.encoder(audio / scale), scale)


@jax.jit
def _decode(codec: Any, segment: Segment) -> Audio:
    return codec.decoder(segment.latent) * segment.scale
