"""Recordings as codes: what `audex encode` stores and `audex decode` plays."""

import os
import pathlib
import zipfile
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from audex_jax.codecs.encodec.model import Encodec
from audex_jax.codecs.encodec.segments import Segment, decode_segments, encode_segments
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array, Float
from audex_jax.io.atomic import replacing


class CodesError(AudexError):
    """Codes that cannot be read, or not with this codec."""


class CodedClip(NamedTuple):
    """One recording in codes.

    Attributes:
        codes: `[t, q]`, the frames of all segments one after the other.
        bounds: first frame of each segment, and the number of frames at the end; `[segments + 1]`.
        scales: loudness of each segment, `[segments]`.
        samples: length of the recording.
        model: name of the codec.
    """

    codes: np.ndarray
    bounds: np.ndarray
    scales: np.ndarray
    samples: int
    model: str


def encode(codec: Encodec, audio: Float[Array, "n c"], bandwidth: float) -> CodedClip:
    """Codes of one recording of any length at `bandwidth` kilobits per second.

    Raises:
        AudexError: the model has no such bandwidth, the audio is empty or has another number of channels.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from audex_jax.codecs.encodec.config import TINY
    >>> codec = Encodec(TINY, rngs=nnx.Rngs(0))
    >>> clip = encode(codec, jnp.ones((95, 1)), bandwidth=0.8)
    >>> clip.codes.shape, decode(codec, clip).shape
    ((10, 2), (95, 1))
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


def decode(codec: Encodec, clip: CodedClip) -> np.ndarray:
    """Audio `[n, c]` of codes.

    Raises:
        CodesError: the codes are not of this codec.
    """
    config = codec.config
    most = clip.codes.max(initial=0)
    if clip.model != config.name or clip.codes.shape[1] > config.codebooks or most >= config.codebook_size:
        raise CodesError(
            f"the codes are of {clip.model} ({clip.codes.shape[1]} codebooks, largest index {most}), the codec is "
            f"{config.name} ({config.codebooks} codebooks of {config.codebook_size} entries); decode with the codec "
            "that made them"
        )
    segments = [
        Segment(codec.dequantize(jnp.asarray(clip.codes[None, start:end], jnp.int32)), jnp.full((1, 1, 1), scale))
        for start, end, scale in zip(clip.bounds[:-1], clip.bounds[1:], clip.scales, strict=True)
    ]
    return np.asarray(decode_segments(codec, segments, clip.samples))[0]


def save(path: str | os.PathLike, clip: CodedClip) -> None:
    """Write codes as `.npz`, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **clip._asdict())


def load(path: str | os.PathLike) -> CodedClip:
    """Read what `save` wrote.

    Raises:
        CodesError: no such file, or not codes.
    """
    if not pathlib.Path(path).is_file():
        raise CodesError(f"{path}: no such file; `audex encode` writes it")
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            fields = {name: file[name] for name in CodedClip._fields}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CodesError(f"{path}: not a file of codes, or cut short ({error}); encode the recording again") from None
    codes, bounds, scales = fields["codes"], fields["bounds"], fields["scales"]
    whole = codes.ndim == 2 and codes.dtype.kind == "u" and bounds.ndim == scales.ndim == 1
    if not whole or len(bounds) != len(scales) + 1 or bounds[0] != 0 or bounds[-1] != len(codes):
        raise CodesError(f"{path}: its codes, bounds and scales do not fit together; encode the recording again")
    return CodedClip(codes, bounds, scales, int(fields["samples"]), str(fields["model"]))
