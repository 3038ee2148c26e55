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
    """Two broken ones of each kind among 200: 7 %."""
    kinds = ("header", "random", "silent", "nan", "short", "folder", "gone")
    broken = {}
    for number, kind in enumerate(kinds * 2):
        broken[11 * number + 3] = kind
    paths = []
    for i in range(200):
        path = tmp_path / f"{i:03d}.{('wav', 'flac')[i % 2]}"
        kind = broken.get(i)
        samples = {"silent": SAMPLES[:0], "nan": np.full(2000, np.nan, np.float32), "short": SAMPLES[:20]}
        if kind == "folder":
            path.mkdir()
        elif kind == "random":
            path.write_bytes(np.random.default_rng(i).bytes(3000))
        elif kind != "gone":
            subtype = "FLOAT" if kind == "nan" else "PCM_16"
            suffix = "WAV" if kind == "nan" else path.suffix[1:].upper()
            soundfile.write(path, samples.get(kind, SAMPLES), 1000, format=suffix, subtype=subtype)
            if kind == "header":
                cut(path, 20 / path.stat().st_size)
        paths.append(str(path))
    found = list(read_recordings(paths, 1000, 1, workers=2))
    assert [recording.index for recording in found] == list(range(200))
    assert {recording.index for recording in found if recording.error} == broken.keys()
    for recording in found:
        if recording.error is None:
            np.testing.assert_allclose(recording.samples, SAMPLES, atol=4e-5)
        else:
            assert recording.samples is None
            assert len(recording.error.splitlines()) == 1
            assert paths[recording.index] not in recording.error


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
