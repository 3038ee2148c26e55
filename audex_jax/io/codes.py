"""Recordings as codes: the file that `audex encode` writes and `audex decode` reads; codecs make and play them."""

import math
import os
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from audex_jax.core.errors import AudexError
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
        bounds: first frame of each segment, and the number of frames at the end; `[segments + 1]`. A codec without
            segments has one.
        scales: loudness taken out of each segment, `[segments]`; ones where the codec takes none out.
        samples: length of the recording.
        model: name of the codec.
    """

    codes: np.ndarray
    bounds: np.ndarray
    scales: np.ndarray
    samples: int
    model: str


def require_fit(clip: CodedClip, model: str, codebooks: int, entries: int, bounds: list[int]) -> None:
    """Refuse codes that a codec did not make.

    Args:
        clip: the codes.
        model, codebooks, entries: name of the codec, its codebooks, and entries of each.
        bounds: what the clip's `bounds` have to be for its number of samples.

    Raises:
        CodesError: the codes are not of this codec.
    """
    most = clip.codes.max(initial=0)
    if clip.model != model or clip.codes.shape[1] > codebooks or most >= entries:
        raise CodesError(
            f"the codes are of {clip.model} ({clip.codes.shape[1]} codebooks, largest index {most}), the codec is "
            f"{model} ({codebooks} codebooks of {entries} entries); decode with the codec that made them"
        )
    if clip.bounds.tolist() != bounds:
        raise CodesError(
            f"{len(clip.codes)} frames in {len(clip.scales)} segments are not those of {clip.samples} samples; encode "
            "the recording again"
        )


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
