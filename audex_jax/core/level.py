"""The level of sounds, decided here and nowhere else: what is judged is what a file of 16 bits holds.

Full scale is 1. The sounds of one clip that exceed it are brought below it by one gain for all of them, and rounded to
16 bits, before they are classified; so a file holds the very samples that the verdict is about.
"""

import math
from typing import Any

import numpy as np

from audex_jax.core.errors import AudioError

STEP = 2.0**-15  # of samples of 16 bits
HIGHEST = 1 - STEP  # the largest of them
LOUDEST = 2.0**16  # times full scale: beyond what any recording holds, samples in units of 16 bits included


def gain_of(peak: Any) -> Any:
    """What brings a largest absolute sample, an array of NumPy or JAX, below full scale; 1 where it is below it.

    >>> gain_of(np.array([0.0, 0.5, 2.0])).round(3).tolist()
    [1.0, 1.0, 0.5]
    """
    return HIGHEST / peak.clip(HIGHEST)


def sixteen_bits(samples: Any) -> Any:
    """Samples below full scale, of NumPy or JAX, rounded to those that a file of 16 bits holds."""
    return (samples / STEP).round() * STEP


def within(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """A sound that is no louder than full scale, and the gain that made it so.

    Args:
        samples: a sound, `[n]` or `[n, c]`.

    Raises:
        AudioError: as of `samples_of`.
    """
    gain = float(gain_of(np.abs(samples_of(samples)).max(initial=0)))
    return np.asarray(samples * np.float32(gain), np.float32), gain


def gain_words(gain: float) -> str:
    """What a gain did, for the end of a sentence; nothing where it is too little to be heard.

    >>> gain_words(0.5), gain_words(0.999)
    (', 6.0 dB softer than it was to stay within full scale', '')
    """
    softer = -20 * math.log10(gain)
    return f", {softer:.1f} dB softer than it was to stay within full scale" if softer >= 0.05 else ""


def pcm16(samples: np.ndarray, name: str = "audio") -> np.ndarray:
    """A sound as integers of 16 bits, `[n]` or `[n, c]`; 2**15 of them are full scale.

    Raises:
        AudioError: a sample that is not finite, or beyond full scale; see `within`.
    """
    if samples.dtype == np.int16:
        return samples
    steps = np.rint(samples_of(samples, name) / STEP)
    if np.abs(steps).max(initial=0) > 1 / STEP:
        peak = np.abs(steps).max() * STEP
        raise AudioError(
            f"{name}: samples reach {peak:.3g} times full scale, which no file of 16 bits holds; scale them first, as "
            "audex_jax.core.level.within does"
        )
    return np.minimum(steps, HIGHEST / STEP).astype(np.int16)


def samples_of(audio: Any, name: str = "audio") -> np.ndarray:
    """An array as samples in float32, full scale 1. Integers are divided by their range, bytes around 128.

    Raises:
        AudioError: another type, values that are not finite, or far beyond full scale.

    >>> samples_of(np.array([0, 128, 255], np.uint8)).tolist()
    [-1.0, 0.0, 0.9921875]
    """
    audio = np.asarray(audio)
    kind = audio.dtype
    if kind.kind in "iu":
        middle = 2.0 ** (8 * kind.itemsize - 1)
        return ((audio - (middle if kind.kind == "u" else 0.0)) / middle).astype(np.float32)
    if kind.kind != "f" and kind.name != "bfloat16":
        raise AudioError(f"{name}: samples of type {kind}; give floats with full scale at 1, or integers")
    with np.errstate(over="ignore"):
        samples = audio.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise AudioError(f"{name}: {bad} samples are not finite numbers (NaN or infinity); repair or re-export it")
    if np.abs(samples).max(initial=0) > LOUDEST:
        peak = float(np.abs(samples).max())
        raise AudioError(f"{name}: samples reach {peak:.3g} times full scale; divide them so that full scale is 1")
    return samples
