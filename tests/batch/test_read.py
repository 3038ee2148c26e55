"""Recordings in any state: those that can be read are, and the others say why not."""

import numpy as np
import pytest
import soundfile

from audex_jax.batch.read import read_recordings

SAMPLES = (0.1 * np.random.default_rng(0).normal(size=2000)).astype(np.float32)


def cut(path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])


def test_broken_recordings_among_others_are_told_apart(tmp_path):
    paths = [tmp_path / f"{i:02d}.{('wav', 'flac')[i % 2]}" for i in range(40)]
    for path in paths:
        soundfile.write(path, SAMPLES, 1000)
    bad = paths[3::5]
    header, noise, silent, nan, short, folder, *gone = bad
    cut(header, 20 / header.stat().st_size)
    noise.write_bytes(np.random.default_rng(0).bytes(3000))
    for path, samples in ((silent, SAMPLES[:0]), (nan, np.full(2000, np.nan, np.float32)), (short, SAMPLES[:20])):
        soundfile.write(path, samples, 1000, format="WAV", subtype="FLOAT")
    for path in (folder, *gone):
        path.unlink()
    folder.mkdir()
    found = list(read_recordings(list(map(str, paths)), 1000, 1, workers=2))
    assert [recording.index for recording in found] == list(range(40))
    assert {recording.index for recording in found if recording.error} == {*range(3, 40, 5)}
    for recording in found:
        if recording.error is None:
            np.testing.assert_allclose(recording.samples, SAMPLES, atol=4e-5)
        else:
            assert recording.samples is None
            assert len(recording.error.splitlines()) == 1
            assert str(paths[recording.index]) not in recording.error


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_a_recording_that_breaks_off_is_what_is_left_of_it_or_nothing(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, np.tile(SAMPLES, 8), 8000)
    cut(path, 0.6)
    (recording,) = read_recordings([str(path)], 8000, 1, workers=1)
    if recording.error is None:
        assert 800 <= len(recording.samples) < 16_000
    else:
        assert recording.samples is None
