"""Recordings as codes: what `audex encode` stores and `audex decode` plays."""

import itertools
import math
import os
import zipfile
import zlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.codecs.encodec.model import Encodec
from audex_jax.codecs.encodec.segments import Segment, decode_segments, encode_segments, segment_bounds
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array, Float
from audex_jax.io.atomic import write_npz
from audex_jax.io.audio import MOST_SAMPLES
from audex_jax.io.files import FileError, opened

MOST_BYTES = 2**26  # of an array of codes
DAMAGED = (zipfile.BadZipFile, zlib.error)


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
    most = clip.codes.max(initial=0)
    if clip.model != config.name or clip.codes.shape[1] > config.codebooks or most >= config.codebook_size:
        raise CodesError(
            f"the codes are of {clip.model} ({clip.codes.shape[1]} codebooks, largest index {most}), the codec is "
            f"{config.name} ({config.codebooks} codebooks of {config.codebook_size} entries); decode with the codec "
            "that made them"
        )
    segments = -(-clip.samples // (config.segment_stride or clip.samples))
    if len(clip.scales) != segments or clip.bounds.tolist() != bounds_of(config, clip.samples):
        raise CodesError(
            f"{len(clip.codes)} frames in {len(clip.scales)} segments are not those of {clip.samples} samples; encode "
            "the recording again"
        )


def bounds_of(config: EncodecConfig, samples: int) -> list[int]:
    """First frame of each segment of a recording of `samples` samples, and the number of frames at the end."""
    frames = (config.frames(end - start) for start, end in segment_bounds(config, samples))
    return list(itertools.accumulate(frames, initial=0))


def save(path: str | os.PathLike, clip: CodedClip) -> None:
    """Write codes as `.npz`, whole or not at all."""
    write_npz(path, clip._asdict())


def load(path: str | os.PathLike) -> CodedClip:
    """Read what `save` wrote. Types and shapes are known from the headers before any array is read.

    Raises:
        CodesError: no such file, or not codes.
    """
    try:
        with opened(path, MOST_BYTES) as stream, zipfile.ZipFile(stream) as archive:
            shapes = {name: _header(archive, name) for name in CodedClip._fields}
            _check_shapes(shapes)
            fields = {name: _array(archive, name) for name in CodedClip._fields}
    except FileError as error:
        raise CodesError(f"{error}; `audex encode` writes codes") from None
    except (ValueError, KeyError, OSError, EOFError, NotImplementedError, RuntimeError, *DAMAGED) as error:
        raise CodesError(f"{path}: not a file of codes, or cut short ({error}); encode the recording again") from None
    clip = CodedClip(fields["codes"], fields["bounds"], fields["scales"], int(fields["samples"]), str(fields["model"]))
    bounds, scales = clip.bounds, clip.scales
    whole = len(bounds) == len(scales) + 1 and bounds[0] == 0 and bounds[-1] == len(clip.codes)
    if not whole or (np.diff(bounds) < 1).any() or not (np.isfinite(scales) & (scales >= 0)).all():
        raise CodesError(f"{path}: its codes, bounds and scales do not fit together; encode the recording again")
    if not 0 < clip.samples <= MOST_SAMPLES:
        raise CodesError(f"{path}: {clip.samples} samples; from 1 to {MOST_SAMPLES} can be decoded")
    return clip


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, which fill its entry in the archive exactly."""
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[version](file, max_header_size=1000)
        if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell():
            raise ValueError(f"{name} has not the size that its header says")
    return shape, dtype


def _check_shapes(shapes: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Refuse arrays of other kinds and numbers of axes than `CodedClip` says, or of more than `MOST_BYTES`."""
    wanted = {"codes": ("u", 2), "bounds": ("iu", 1), "scales": ("f", 1), "samples": ("iu", 0), "model": ("U", 0)}
    for name, (shape, dtype) in shapes.items():
        kinds, axes = wanted[name]
        if dtype.kind not in kinds or len(shape) != axes or math.prod(shape) * dtype.itemsize > MOST_BYTES:
            raise ValueError(f"{name} is of type {dtype} and shape {shape}")


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False, max_header_size=1000)
