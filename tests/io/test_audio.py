"""Reading and writing recordings."""

import numpy as np
import pytest
import soundfile

from audex_jax.core.errors import AudexError
from audex_jax.core.level import samples_of, within
from audex_jax.io.audio import AudioError, conform, fit_length, level_db, peak, read_audio, replacing, write_audio
from audex_jax.io.marks import must_not_replace


def tone(rate: int, seconds: float = 0.5, frequency: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (16_000, 6)])
def test_any_format_rate_and_channel_count_gives_the_same_tone(tmp_path, suffix, rate, channels):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.repeat(tone(rate)[:, None], channels, 1), rate)
    audio = read_audio(path, 16_000)
    assert audio.shape == (8_000,)
    assert audio.dtype == np.float32
    middle = slice(1_000, 7_000)  # away from the resampler's edges
    assert np.abs(audio[middle] - tone(16_000)[middle]).max() < 0.02


def test_mono_becomes_stereo_by_repetition(tmp_path):
    soundfile.write(tmp_path / "m.wav", tone(8_000), 8_000)
    audio = read_audio(tmp_path / "m.wav", 8_000, channels=2)
    assert audio.shape == (4_000, 2)
    np.testing.assert_array_equal(audio[:, 0], audio[:, 1])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"this is not audio at all\n" * 50, "not readable as audio"),
        (None, "no such file"),
        (np.zeros(0, np.float32), "no samples"),
        (np.array([0.0, np.nan, 0.1], np.float32), "1 samples are not finite"),
    ],
)
def test_bad_files_name_the_file_and_the_fault(tmp_path, content, says):
    path = tmp_path / "x.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=says) as caught:
        read_audio(path, 8_000)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.wav"
    write_audio(path, tone(8_000), 8_000)
    before = path.read_bytes()

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_sound_beyond_full_scale_is_not_clipped_but_refused_and_scaled_when_asked_for(tmp_path):
    loud = np.array([2.0, -2.0, 0.5], np.float32)
    with pytest.raises(AudioError, match=r"loud.wav: samples reach 2 times full scale"):
        write_audio(tmp_path / "loud.wav", loud, 8_000)
    assert not list(tmp_path.iterdir())
    softer, gain = within(loud)
    write_audio(tmp_path / "loud.wav", softer, 8_000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "loud.wav")[0], gain * loud, atol=1e-4)


@pytest.mark.parametrize("kind", ["float64", "int16", "int32", "uint8"])
def test_samples_of_any_type_are_the_same_sound(kind):
    sound = np.array([0.0, 0.5, -0.25, -1.0])
    full = {"int16": 2**15, "int32": 2**31, "uint8": 2**7}.get(kind, 1)
    given = (sound * full + (128 if kind == "uint8" else 0)).astype(kind)
    np.testing.assert_array_equal(samples_of(given), sound.astype(np.float32))


@pytest.mark.parametrize("given", [np.ones(3, bool), np.ones(3, complex), np.array([None]), np.array([1e20]), [np.nan]])
def test_what_is_no_sound_is_refused(given):
    with pytest.raises(AudioError, match="samples"):
        samples_of(given)


def test_what_the_tool_did_not_write_is_never_replaced(tmp_path):
    """The recording of a user, what is no file, and an input; what the tool wrote is replaced."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 8_000)
    before = path.read_bytes()
    with pytest.raises(AudexError, match="did not write"):
        write_audio(path, np.zeros(50), 8_000)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudexError, match="not a regular file"):
        write_audio(tmp_path / "folder.wav", np.zeros(50), 8_000)
    assert path.read_bytes() == before
    path.unlink()
    for samples in (50, 60):
        write_audio(path, np.zeros(samples), 8_000)
    assert soundfile.info(path).frames == 60
    with pytest.raises(AudexError, match="is the input"):
        must_not_replace(path, path)


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    for name in (".a.wav.0123abcd.audex-tmp", ".theirs.tmp"):
        (tmp_path / name).write_bytes(b"half")
    write_audio(tmp_path / "b.wav", np.zeros(50), 8_000)
    assert {path.name for path in tmp_path.iterdir()} == {"b.wav", ".theirs.tmp"}


def test_levels_and_lengths():
    assert level_db(np.full(100, 0.1)) == pytest.approx(-20)
    assert level_db(np.zeros(100)) == -160
    assert peak(np.array([0.2, -0.7])) == pytest.approx(0.7)
    np.testing.assert_array_equal(fit_length(np.arange(3.0), 5), [0, 1, 2, 0, 0])
    np.testing.assert_array_equal(fit_length(np.arange(3.0), 2), [0, 1])
    assert conform(np.ones((4, 2)), 8_000, 8_000).shape == (4,)
