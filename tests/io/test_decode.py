"""Recordings of every format are read to their real end, or refused in one line."""

import io
import os
import sys

import numpy as np
import pytest
import soundfile

from audex_jax.io.audio import AudioError, decode_audio, duration, read_audio, read_recording

RATE = 16_000
TONE = (0.3 * np.sin(0.2 * np.arange(2 * RATE))).astype(np.float32)
NOISE = (0.3 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)


def encoded(samples: np.ndarray, kind: str, **how) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind, **how)
    return file.getvalue()


def without_xing(samples: np.ndarray) -> bytes:
    """An MP3 of variable bit rate whose first frame, which tells the number of frames, is gone."""
    whole = encoded(samples, "MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.0)
    start = next(i for i in range(len(whole)) if whole[i] == 255 and whole[i + 1] & 0xE0 == 0xE0)
    rates = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    length = 72 * rates[whole[start + 2] >> 4] * 1000 // RATE + (whole[start + 2] >> 1 & 1)
    assert b"Xing" in whole[start : start + length]
    return whole[:start] + whole[start + length :]


@pytest.mark.parametrize(
    "order", [(NOISE, 0 * TONE, 0 * TONE, 0 * TONE, TONE), (0 * TONE, 0 * TONE, NOISE, NOISE, NOISE)]
)
def test_an_mp3_that_does_not_say_how_long_it_is(tmp_path, order):
    (tmp_path / "x.mp3").write_bytes(without_xing(np.concatenate(order)))
    samples = read_audio(tmp_path / "x.mp3", RATE)
    assert 10 <= len(samples) / RATE < 10.15  # whole frames, and the coder's delay
    middle = samples[RATE // 2 : -RATE // 2]
    loud = [np.abs(part).max() > 0.1 for part in np.array_split(middle, 45)]
    assert loud[0] == (order[0] is NOISE)
    assert loud[-1]


def test_a_wav_whose_recorder_was_stopped(tmp_path):
    whole = bytearray(encoded(TONE, "WAV"))
    at = whole.find(b"data")
    whole[4:8] = whole[at + 4 : at + 8] = bytes(4)
    (tmp_path / "x.wav").write_bytes(whole)
    np.testing.assert_allclose(read_audio(tmp_path / "x.wav", RATE), TONE, atol=1e-4)
    (tmp_path / "x.wav").write_bytes(bytes(whole[: at + 8]) + b"LIST\x04\x00\x00\x00INFO")
    with pytest.raises(AudioError, match="no samples"):
        read_audio(tmp_path / "x.wav", RATE)
    whole[at + 4 : at + 8] = b"\xff" * 4  # as a stream has it
    (tmp_path / "x.wav").write_bytes(whole)
    assert len(read_audio(tmp_path / "x.wav", RATE)) == len(TONE)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64", "MP3"])
def test_a_file_that_breaks_off_is_shorter_than_promised(tmp_path, kind):
    whole = encoded(TONE, kind)
    (tmp_path / "x").write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(AudioError, match="shorter than promised"):
        read_audio(tmp_path / "x", RATE)


def test_a_second_stream_behind_the_first_is_named(tmp_path):
    whole = encoded(TONE, "OGG")
    (tmp_path / "x.ogg").write_bytes(whole + whole)
    with pytest.raises(AudioError, match="2 Ogg streams one after the other"):
        read_audio(tmp_path / "x.ogg", RATE)


@pytest.mark.parametrize("kind", ["CAF", "W64", "RF64", "AU", "VOC", "AIFF"])
def test_what_libsndfile_reads_is_read_from_disk_and_from_memory(tmp_path, kind):
    (tmp_path / "x").write_bytes(encoded(TONE, kind))
    np.testing.assert_allclose(read_audio(tmp_path / "x", RATE), TONE, atol=1e-4)
    np.testing.assert_allclose(decode_audio(encoded(TONE, kind), RATE), TONE, atol=1e-4)


def test_channels_that_cancel_are_no_silence(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.stack([TONE, -TONE], 1), RATE)
    with pytest.raises(AudioError, match="cancel each other out"):
        read_audio(tmp_path / "x.wav", RATE)
    assert read_audio(tmp_path / "x.wav", RATE, channels=2).shape == (len(TONE), 2)
    soundfile.write(tmp_path / "x.wav", np.zeros((1000, 2)), RATE)
    assert not read_audio(tmp_path / "x.wav", RATE).any()


def test_blocks_leave_no_trace(tmp_path, monkeypatch):
    """Read in many blocks and resampled, a recording is the same, bit for bit."""
    soundfile.write(tmp_path / "x.flac", np.stack([TONE, NOISE], 1), 44_100)
    whole = read_audio(tmp_path / "x.flac", RATE)
    monkeypatch.setattr("audex_jax.io.decode.BLOCK", 1000)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.flac", RATE), whole)
    np.testing.assert_array_equal(read_audio(tmp_path / "x.flac", RATE, seconds=0.1), whole[:1600])


def test_samples_are_limited_and_not_seconds(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.flac", np.zeros(80 * 1000), 1000)
    assert len(read_recording(tmp_path / "x.flac", 1000)) == 80_000
    monkeypatch.setattr("audex_jax.io.audio.MOST_SAMPLES", 100_000)
    assert duration(tmp_path / "x.flac", 5) == 80
    for rate, channels in ((2000, 1), (1000, 2)):
        with pytest.raises(AudioError, match=f"too long, more than 50 s at {rate} Hz; cut it into pieces"):
            read_recording(tmp_path / "x.flac", rate, channels)


def test_pipes_and_folders_are_no_recordings(tmp_path):
    os.mkfifo(tmp_path / "x.wav")
    for place in (tmp_path / "x.wav", tmp_path):
        with pytest.raises(AudioError, match="not a regular file"):
            read_audio(place, RATE)


@pytest.mark.parametrize("suffix", ["m4a", "mkv"])
def test_containers_are_read_by_an_optional_package(tmp_path, suffix, monkeypatch):
    av = pytest.importorskip("av", reason="needs the extra `formats`")
    path = tmp_path / f"x.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE[None], format="fltp", layout="mono")
        frame.rate = RATE
        parts = av.AudioResampler("fltp", "mono", RATE, frame_size=1024)
        for part in (*parts.resample(frame), *parts.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    samples = read_audio(path, RATE)
    assert abs(len(samples) / RATE - 2) < 0.15  # whole frames, and the delay of the coder
    assert np.abs(samples).max() > 0.2
    path.write_bytes(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")  # a list of other files
    with pytest.raises(AudioError, match="not readable as audio"):
        read_audio(path, RATE)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"needs PyAV: pip install 'audex-jax\[formats\]'"):
        read_audio(path, RATE)
