"""Recordings in any state: read to their end, or refused in one line; a part is never taken for the whole."""

import io

import numpy as np
import pytest
import soundfile

from audex_jax.io.audio import MOST_SAMPLES, read_recording

from .conftest import damaged

pytestmark = pytest.mark.attack
COUNT = 12  # mutants a test
RATE = 8_000
SOUND = (0.2 * np.sin(0.3 * np.arange(RATE)) + 0.02 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
FORMATS = {  # suffix: format and subtype
    "wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "FLOAT"), "caf": ("CAF", "PCM_24"),
    "w64": ("W64", "PCM_16"), "rf64": ("RF64", "PCM_16"), "voc": ("VOC", "PCM_16"),
}  # fmt: skip
PROMISE = ("wav", "flac", "mp3", "aiff", "au", "caf", "w64", "rf64")  # their headers tell the length


def encoded(suffix: str, sound: np.ndarray = SOUND) -> bytes:
    kind, subtype = FORMATS[suffix]
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format=kind, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("seed", range(2))
def test_damaged_files(tmp_path, attack, suffix, seed):
    rng = np.random.default_rng([seed, *suffix.encode()])
    path, whole = tmp_path / f"x.{suffix}", encoded(suffix)
    for number in range(COUNT):
        path.write_bytes(damaged(whole, rng, head=100 if number % 2 else len(whole)))
        samples = attack(lambda: read_recording(path, RATE))
        if samples is not None:
            assert samples.dtype == np.float32
            assert 0 < len(samples) <= MOST_SAMPLES
            assert np.isfinite(samples).all()


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_that_break_off(tmp_path, attack, suffix):
    path, whole = tmp_path / f"x.{suffix}", encoded(suffix)
    path.write_bytes(whole)
    right = read_recording(path, RATE)
    for share in (0.3, 0.5, 0.8, 0.95):
        path.write_bytes(whole[: int(share * len(whole))])
        samples = attack(lambda: read_recording(path, RATE))
        assert samples is None or suffix not in PROMISE
        if samples is not None:
            assert len(samples) <= len(right)


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [100, 8_000, 655_350])
def test_small_files_of_many_samples(tmp_path, attack, rate, channels):
    """Silence takes no space in a FLAC file, and a low rate makes many samples of few."""
    path, read = tmp_path / "x.flac", {1: 40, 2: 20, 8: 5}[channels]
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(read):
            file.write(np.zeros((10**5, channels), np.float32))
    samples = attack(lambda: read_recording(path, 16_000))
    assert samples is None or len(samples) <= MOST_SAMPLES
