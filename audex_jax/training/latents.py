"""Latents of a labelled folder, encoded once and kept on disk beside the training state."""

import hashlib
import json
import pathlib
from collections.abc import Sequence

import jax
import numpy as np

from audex_jax.core.protocols import Codec
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.io.atomic import replacing
from audex_jax.io.progress import Bar
from audex_jax.training.classifier import encode_clips


def cached_latents(
    codec: Codec,
    clips: Sequence[LabelledClip],
    labels: Sequence[str],
    clip_seconds: float,
    variants: Sequence[int],
    seed: int,
    directory: pathlib.Path,
    name: str,
    quiet: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents `[clips, variants, t, d]`, valid frames `[clips, variants, t]` and class numbers `[clips]`.

    What was encoded before with the same codec, clips and settings is read back from `directory`.

    Args:
        codec: frozen codec.
        clips: recordings with labels.
        labels: names of the classes.
        clip_seconds: length that clips are cut or padded to.
        variants, seed: see `encode_clips`.
        directory: where latents are kept.
        name: what the clips are, for the file's name and the progress bar.
        quiet: show no progress.

    Raises:
        AudioError: a recording that cannot be read.
    """
    classes = np.array([labels.index(clip.label) for clip in clips], np.int32)
    key = cache_key(codec, clips, clip_seconds, list(variants), seed)
    path = directory / f"latents-{name}-{key}.npz"
    if path.exists():
        with np.load(path) as stored:
            return stored["latents"], stored["valid"], classes
    audio = read_clips([clip.path for clip in clips], codec.sample_rate, quiet)
    samples = round(clip_seconds * codec.sample_rate)
    latents, valid = [], []
    with Bar(f"encoding {name}", len(clips) * len(variants), quiet) as bar:
        for index, variant in enumerate(variants):
            done = index * len(clips)
            z, v = encode_clips(codec, audio, samples, variant, seed, lambda n, done=done: bar.update(done + n))
            latents.append(z)
            valid.append(v)
    directory.mkdir(parents=True, exist_ok=True)
    every, frames = np.stack(latents, 1), np.stack(valid, 1)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, latents=every, valid=frames)
    return every, frames, classes


def cache_key(codec: Codec, clips: Sequence[LabelledClip], *settings) -> str:
    """Short hash of everything that latents depend on: codec, recordings (path, size, time) and settings."""
    shape = repr((getattr(codec, "config", type(codec).__name__), getattr(codec, "bandwidth", None)))
    digest = hashlib.sha256(json.dumps([shape, *settings]).encode())
    for path, array in jax.tree.leaves_with_path(codec):
        digest.update(jax.tree_util.keystr(path).encode() + np.ascontiguousarray(array).tobytes())
    for clip in clips:
        stat = clip.path.stat()
        digest.update(f"{clip.path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
