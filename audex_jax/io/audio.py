"""Recordings in and out of NumPy arrays: read, resample, measure, write. No JAX in here."""

import hashlib
import io
import os
import pathlib
from typing import Any

import numpy as np
import soundfile
import soxr

from audex_jax.core.errors import AudioError as AudioError
from audex_jax.core.level import pcm16, samples_of
from audex_jax.io.atomic import replacing
from audex_jax.io.decode import BLOCK, Decoded, decoding
from audex_jax.io.marks import MARK

SILENCE_PEAK = 1e-4  # -80 dBFS: below this a recording counts as silent
SHORTEST = 0.1  # seconds that a recording to be explained has at least
MOST_SAMPLES = 2**24  # of all channels together, at the rate asked for: 17 minutes of mono at 16 kHz, 64 MiB
CANCELLED = 1e-3  # sum of the channels, against the loudest of them, below which they cancel each other out


def read_audio(
    path: str | os.PathLike, sample_rate: int, channels: int = 1, seconds: float | None = None
) -> np.ndarray:
    """Read a recording in any format (see `io.decode`), at any rate and channel count, block by block.

    Args:
        path: the file.
        sample_rate: rate to resample to, in Hz (soxr, high quality).
        channels: 1 mixes down to mono; 2 repeats a mono recording.
        seconds: read only so much of its beginning; None reads all of it.

    Returns:
        float32 samples, `[n]` for one channel, else `[n, channels]`; full scale is 1.0.

    Raises:
        AudioError: missing, empty, not audio, shorter than its header promises, of more than `MOST_SAMPLES` samples,
            with channels that cancel each other out, or containing values that are not finite.

    Examples:
        >>> import tempfile, numpy as np
        >>> path = tempfile.mkdtemp() + "/tone.wav"
        >>> write_audio(path, 0.1 * np.ones(8_000, np.float32), 8_000)
        >>> read_audio(path, 16_000).shape
        (16000,)
    """
    with decoding(path) as decoded:
        return _conformed(decoded, sample_rate, channels, str(path), seconds)


def decode_audio(content: bytes, sample_rate: int, channels: int = 1, name: str = "audio") -> np.ndarray:
    """`read_audio` for a file that is in memory."""
    with decoding(content, name) as decoded:
        return _conformed(decoded, sample_rate, channels, name)


def duration(path: str | os.PathLike, most: float) -> float:
    """Seconds of a recording; one that is longer than `most`, and does not say how long it is, has `most`."""
    with decoding(path) as decoded:
        if decoded.seconds is not None:
            return decoded.seconds
        read = 0
        for block in decoded.blocks:
            read += len(block)
            if read > most * decoded.rate:
                return most
        return read / decoded.rate


def file_name(path: str | os.PathLike) -> Any:
    """A path as soundfile takes it: in bytes, it opens names that are not UTF-8 too."""
    return os.fsencode(path) if os.name == "posix" else os.fspath(path)


def read_recording(path: str | os.PathLike, sample_rate: int, channels: int = 1) -> np.ndarray:
    """`read_audio` for a recording that is to be explained, in segments if it is long.

    Raises:
        AudioError: as for `read_audio`, or shorter than 0.1 s.
    """
    return of_length(read_audio(path, sample_rate, channels), sample_rate, str(path))


def of_length(samples: np.ndarray, sample_rate: int, name: str = "audio") -> np.ndarray:
    """Samples as they are, if they are enough to be explained; see `read_recording`."""
    seconds = len(samples) / sample_rate
    if seconds < SHORTEST:
        raise AudioError(f"{name}: only {1000 * seconds:.0f} ms long; it takes at least {1000 * SHORTEST:.0f} ms")
    return samples


def conform(samples: np.ndarray, rate: int, sample_rate: int, channels: int = 1, name: str = "audio") -> np.ndarray:
    """Bring samples `[n]` or `[n, c]` at `rate` to `sample_rate` and `channels`; see `read_audio`."""
    samples = samples_of(samples, name)
    if samples.ndim == 1:
        samples = samples[:, None]
    return _conformed(Decoded(rate, samples.shape[1], None, iter((samples,))), sample_rate, channels, name)


def _conformed(
    decoded: Decoded, sample_rate: int, channels: int, name: str, seconds: float | None = None
) -> np.ndarray:
    """All blocks, mixed and resampled one after the other, so that memory is taken for the result alone."""
    wanted = None if seconds is None else round(seconds * sample_rate)
    mixes = decoded.channels != channels
    width = 1 if mixes else channels
    resample = None
    if decoded.rate != sample_rate:
        resample = soxr.ResampleStream(decoded.rate, sample_rate, width, dtype="float32").resample_chunk
    parts: list[np.ndarray] = []
    count, bad, loudest, mixed = 0, 0, 0.0, 0.0

    def take(block: np.ndarray, last: bool = False) -> None:
        nonlocal count
        part = block if resample is None else resample(np.ascontiguousarray(block), last)
        parts.append(part)
        count += len(part)
        if wanted is None and count * channels > MOST_SAMPLES:
            most = MOST_SAMPLES / channels / sample_rate
            raise AudioError(f"{name}: too long, more than {most:.0f} s at {sample_rate} Hz; cut it into pieces")

    step = max(1, BLOCK * decoded.rate // max(decoded.rate, sample_rate) // max(decoded.channels, 1))
    for given in decoded.blocks:
        for block in (given[at : at + step] for at in range(0, len(given), step)):
            finite = np.isfinite(block)
            if not finite.all():
                bad += int((~finite).sum())
                continue
            if mixes:
                loudest = max(loudest, peak(block))
                block = block.mean(1, keepdims=True)
                mixed = max(mixed, peak(block) * decoded.channels)
            take(block)
        if wanted is not None and count >= wanted:
            break
    if bad:
        raise AudioError(f"{name}: {bad} samples are not finite numbers (NaN or infinity); repair or re-export it")
    if not parts:
        raise AudioError(f"{name}: it holds no samples; record or copy it again")
    if loudest >= SILENCE_PEAK and mixed < CANCELLED * loudest:
        raise AudioError(f"{name}: its channels cancel each other out in the mix; export one of them alone")
    if resample is not None:
        take(np.zeros((0, width), np.float32), last=True)
    samples = np.concatenate(parts)[:wanted]
    samples = samples_of(samples, name)
    samples = samples[:, 0] if channels == 1 else np.repeat(samples, channels // width, 1)
    return np.ascontiguousarray(samples, np.float32)


def write_audio(path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> None:
    """Write 16-bit audio (format by the suffix, WAV or FLAC), whole or not at all.

    Args:
        path: of the file.
        samples: `[n]` or `[n, c]`, full scale at 1; integers are divided by their range.
        sample_rate: in Hz.

    Raises:
        AudioError: samples that are not finite, or beyond full scale; `core.level.within` scales them.
        AudexError: there is a file of that name that the tool did not write.
    """
    path = pathlib.Path(path)
    whole = pcm16(samples, str(path))
    with replacing(path) as temporary:
        channels, kind = 1 if whole.ndim == 1 else whole.shape[1], path.suffix[1:]
        with soundfile.SoundFile(file_name(temporary), "w", sample_rate, channels, "PCM_16", format=kind) as file:
            file.software = MARK
            file.write(whole)


def flac_of(samples: np.ndarray, sample_rate: int) -> bytes:
    """Samples `[n]` or `[n, c]` as a FLAC file of 16 bits; see `write_audio`."""
    file = io.BytesIO()
    soundfile.write(file, pcm16(samples), sample_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def digest_of(samples: np.ndarray) -> str:
    """SHA-256 of samples as a codec takes them, `[n]` or `[n, c]`: which recording it was, wherever it lies."""
    whole = np.ascontiguousarray(samples, "<f4")
    return hashlib.sha256(repr(whole.shape).encode() + whole.tobytes()).hexdigest()


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
