"""Recordings in and out of NumPy arrays: read, resample, measure, write. No JAX in here."""

import io
import os
import pathlib
from typing import Any

import numpy as np
import soundfile
import soxr

from audex_jax.core.errors import AudexError
from audex_jax.io.atomic import replacing

SILENCE_PEAK = 1e-4  # -80 dBFS: below this a recording counts as silent
SHORTEST, LONGEST = 0.1, 60.0  # seconds that a recording to be explained may have


class AudioError(AudexError):
    """A recording that cannot be used; the message names the file, what is wrong and what to do."""


def read_audio(path: str | os.PathLike, sample_rate: int, channels: int = 1) -> np.ndarray:
    """Read any file that libsndfile reads, at any rate and channel count.

    Args:
        path: the file.
        sample_rate: rate to resample to, in Hz (soxr, high quality).
        channels: 1 mixes down to mono; 2 repeats a mono recording.

    Returns:
        float32 samples, `[n]` for one channel, else `[n, channels]`; full scale is 1.0.

    Raises:
        AudioError: missing, empty, not audio, or containing values that are not finite.

    Example:
        >>> import tempfile, numpy as np
        >>> path = tempfile.mkdtemp() + "/tone.wav"
        >>> write_audio(path, 0.1 * np.ones(8_000, np.float32), 8_000)
        >>> read_audio(path, 16_000).shape
        (16000,)
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise AudioError(f"{path}: no such file; check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty; record or copy it again")
    try:
        samples, rate = soundfile.read(file_name(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(".")
        raise AudioError(f"{path}: not readable as audio ({reason}); convert it to WAV or FLAC") from None
    return conform(samples, rate, sample_rate, channels, name=str(path))


def file_name(path: str | os.PathLike) -> Any:
    """A path as soundfile takes it: in bytes, it opens names that are not UTF-8 too."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def read_recording(path: str | os.PathLike, sample_rate: int, channels: int = 1) -> np.ndarray:
    """`read_audio` for a recording that is to be explained; one that is too long is refused before it is decoded.

    Raises:
        AudioError: unreadable, or shorter than 0.1 s or longer than 60 s.
    """
    try:
        seconds = soundfile.info(file_name(path)).duration
    except (soundfile.LibsndfileError, OSError):
        seconds = 0.0  # `read_audio` says what is wrong
    if seconds > LONGEST:
        raise _too_long(seconds, str(path))
    return of_length(read_audio(path, sample_rate, channels), sample_rate, str(path))


def of_length(samples: np.ndarray, sample_rate: int, name: str = "audio") -> np.ndarray:
    """Samples as they are, if their length is one that can be explained; see `read_recording`."""
    seconds = len(samples) / sample_rate
    if seconds < SHORTEST:
        raise AudioError(f"{name}: only {1000 * seconds:.0f} ms long; it takes at least {1000 * SHORTEST:.0f} ms")
    if seconds > LONGEST:
        raise _too_long(seconds, name)
    return samples


def _too_long(seconds: float, name: str) -> AudioError:
    return AudioError(f"{name}: {seconds:.0f} s long; cut it into pieces of at most {LONGEST:.0f} s")


def conform(samples: np.ndarray, rate: int, sample_rate: int, channels: int = 1, name: str = "audio") -> np.ndarray:
    """Bring samples `[n]` or `[n, c]` at `rate` to `sample_rate` and `channels`; see `read_audio`."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.shape[0] == 0:
        raise AudioError(f"{name}: it holds no samples; record or copy it again")
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise AudioError(f"{name}: {bad} samples are not finite numbers (NaN or infinity); repair or re-export it")
    if samples.shape[1] != channels:
        samples = samples.mean(1, keepdims=True)
        samples = np.repeat(samples, channels, 1)
    if rate != sample_rate:
        samples = soxr.resample(samples, rate, sample_rate)
    return np.ascontiguousarray(samples[:, 0] if channels == 1 else samples, np.float32)


def write_audio(path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> None:
    """Write 16-bit audio (format by the suffix, WAV or FLAC), whole or not at all.

    Samples beyond full scale are clipped; `peak` tells whether that will happen.
    """
    path = pathlib.Path(path)
    with replacing(path) as temporary:
        soundfile.write(
            file_name(temporary), np.clip(samples, -1.0, 1.0), sample_rate, subtype="PCM_16", format=path.suffix[1:]
        )


def flac_of(samples: np.ndarray, sample_rate: int) -> bytes:
    """Samples `[n]` or `[n, c]` as a FLAC file of 16 bits; floats beyond full scale are clipped."""
    if samples.dtype.kind == "f":
        samples = np.clip(samples, -1.0, 1.0)
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def peak(samples: np.ndarray) -> float:
    """Largest absolute sample."""
    return float(np.abs(samples).max(initial=0.0))


def level_db(samples: np.ndarray) -> float:
    """Root mean square level in dB relative to full scale; -160 for digital silence."""
    return float(20 * np.log10(max(float(np.sqrt(np.mean(np.square(samples)))), 1e-8)))


def fit_length(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut or zero-pad the time axis (the first) to `length` samples, keeping the start."""
    samples = samples[:length]
    missing = length - samples.shape[0]
    return np.pad(samples, [(0, missing)] + [(0, 0)] * (samples.ndim - 1)) if missing else samples
