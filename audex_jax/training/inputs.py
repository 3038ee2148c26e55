"""What classifiers read of a labelled folder, made once and kept on disk beside the training state."""

import hashlib
import pathlib
import zipfile
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from audex_jax.core.protocols import Codec
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.io.atomic import write_npz
from audex_jax.io.files import FileError, json_text, opened
from audex_jax.io.progress import COMPILING, Bar
from audex_jax.training.variants import make_variant

HEARD = 1.5  # of a clip's length is read, which is what a faster and shifted variant needs


class Inputs(NamedTuple):
    """What a classifier reads of clips, in several variants or in one, which has no axis v.

    Attributes:
        values: latents `[clips, v, t, d]`, or audio `[clips, v, n, c]` in half precision.
        own: how many of the frames or samples are the clip's own, `[clips, v]`.
        labels: class numbers, `[clips]`.
    """

    values: np.ndarray
    own: np.ndarray
    labels: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """True for the clips' own frames or samples, `[clips, v, t]`."""
        return np.arange(self.values.shape[-2]) < self.own[..., None]

    def variant(self, number: int) -> "Inputs":
        """The same clips in one variant."""
        return Inputs(self.values[:, number], self.own[:, number], self.labels)

    def one_variant(self) -> "Inputs":
        """Clips in one variant as clips in several, of which there is one."""
        return Inputs(self.values[:, None], self.own[:, None], self.labels)

    def flat(self) -> "Inputs":
        """Every variant of every clip as a clip of its own, in one variant."""
        clips, variants = self.own.shape
        values = self.values.reshape(clips * variants, *self.values.shape[2:])
        return Inputs(values, self.own.reshape(-1), np.repeat(self.labels, variants))


def cached_inputs(
    codec: Codec,
    clips: Sequence[LabelledClip],
    labels: Sequence[str],
    clip_seconds: float,
    variants: Sequence[int],
    seed: int,
    directory: pathlib.Path,
    name: str,
    kinds: Sequence[str] = ("latent",),
    quiet: bool = False,
) -> Inputs:
    """Inputs of the first kind. All kinds are made in one pass.

    What was made before with the same codec, clips and settings is read back from `directory`.

    Args:
        codec: frozen codec.
        clips: recordings with labels.
        labels: names of the classes.
        clip_seconds: length that clips are cut or padded to.
        variants, seed: see `variants.variant_batches`.
        directory: where inputs are kept.
        name: what the clips are, for the file's name and the progress bar.
        kinds: of `variants.KINDS`.
        quiet: show no progress.

    Raises:
        AudioError: a recording that cannot be read.
    """
    key = cache_key(codec, clips, clip_seconds, list(variants), seed)
    paths = {kind: directory / f"{kind}-{name}-{key}.npz" for kind in kinds}
    shape = len(clips), len(variants)
    missing = [kind for kind in kinds if _stored(paths[kind], shape) is None]
    if missing:
        audio = read_clips([clip.path for clip in clips], codec.sample_rate, quiet, HEARD * clip_seconds)
        samples = round(clip_seconds * codec.sample_rate)
        found = []
        with Bar(f"encoding {name}", len(clips) * len(variants), quiet, COMPILING) as bar:
            for index, variant in enumerate(variants):

                def report(done: int, before: int = index * len(clips)) -> None:
                    bar.update(before + done)

                found.append(make_variant(codec, audio, samples, variant, seed, missing, report))
        directory.mkdir(parents=True, exist_ok=True)
        for kind in missing:
            values, own = (np.stack(part, 1) for part in zip(*(one.pop(kind) for one in found), strict=True))
            write_npz(paths[kind], {"values": values, "own": own}, compressed=False, own=True)
    classes = np.array([labels.index(clip.label) for clip in clips], np.int32)
    stored = _stored(paths[kinds[0]], shape)
    assert stored is not None
    return Inputs(*stored, classes)


def _stored(path: pathlib.Path, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """Values and lengths that were kept, or None: they are not there, or damaged, and are made again."""
    try:
        with opened(path) as file, np.load(file) as stored:
            values, own = stored["values"], stored["own"]
    except (FileError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    right = values.dtype.kind == "f" and values.ndim == 4 and own.dtype.kind in "iu"
    if not right or values.shape[:2] != shape or own.shape != shape:
        return None
    inside = ((own > 0) & (own <= values.shape[2])).all()
    return (values, own) if inside and np.isfinite(values).all() else None


def cache_key(codec: Codec, clips: Sequence[LabelledClip], *settings) -> str:
    """Short hash of everything that inputs depend on: codec, recordings (path, size, time) and settings."""
    shape = repr((getattr(codec, "config", type(codec).__name__), getattr(codec, "bandwidth", None)))
    digest = hashlib.sha256(json_text([shape, *settings]).encode())
    for path, array in jax.tree.leaves_with_path(codec):
        digest.update(jax.tree_util.keystr(path).encode() + np.ascontiguousarray(array).tobytes())
    for clip in clips:
        stat = clip.path.stat()
        digest.update(f"{clip.path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
