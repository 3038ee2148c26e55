"""Functions of NumPy arrays as classifiers: frames of clips of several lengths, purity, gradients at silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.adapters.host import HostClassifier, check_function
from audex_jax.adapters.reading import Reading
from audex_jax.core.errors import AudexError

RATE, FRAME = 100, 30


def wrapped(function, pull_back=None, labels=2, **reading) -> HostClassifier:
    return HostClassifier(
        function, pull_back, source=RATE, rate=RATE, reading=Reading(**reading), labels=labels, fingerprint="test"
    )


def by_frame(audio: np.ndarray) -> np.ndarray:
    """Sum and double sum of each whole frame, and of at least one."""
    whole = max(1, audio.shape[1] // FRAME)
    padded = np.pad(audio, ((0, 0), (0, max(0, FRAME - audio.shape[1]))))[:, : whole * FRAME]
    total = padded.reshape(len(audio), whole, FRAME).sum(2)
    return np.stack([total, 2 * total], -1)


def by_frame_back(audio: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    back = np.repeat(cotangent @ np.array([1.0, 2.0], np.float32), FRAME, 1)[:, : audio.shape[1]]
    return np.pad(back, ((0, 0), (0, audio.shape[1] - back.shape[1])))


@pytest.mark.parametrize("length", [5, 59, 60, 95])
def test_frames_are_those_of_the_clip_itself(length, rng):
    """Whatever it is padded to: 95 samples, three frames."""
    clip = np.zeros((95, 1), np.float32)
    clip[:length, 0] = rng.normal(size=length)
    own = by_frame(clip[None, :length, 0])[0]
    classifier, valid = wrapped(by_frame, by_frame_back), jnp.arange(95) < length
    found, pull_back = jax.vjp(lambda audio: classifier(audio, valid), jnp.asarray(clip))
    np.testing.assert_allclose(found, own.mean(0), rtol=1e-5, atol=1e-6)
    (gradient,) = pull_back(jnp.asarray([1.0, 0.0]))
    expected = by_frame_back(clip[None, :length, 0], np.tile(np.float32([1, 0]), (1, len(own), 1)) / len(own))
    np.testing.assert_allclose(gradient[:length, 0], expected[0], rtol=1e-5)
    assert not np.any(gradient[length:])


@pytest.mark.parametrize(
    ("between", "frames"), [((0.3, 0.6), [1]), ((0.0, 0.9), [0, 1, 2]), ((0.68, 0.7), [2]), ((0.4, 9.0), [1, 2])]
)
def test_a_range_has_at_least_the_nearest_frame(between, frames, rng):
    clip = rng.normal(size=(95, 1)).astype(np.float32)
    found = wrapped(by_frame, between=between)(jnp.asarray(clip), jnp.ones(95, bool))
    np.testing.assert_allclose(found, by_frame(clip.T)[0, frames].mean(0), rtol=1e-5, atol=1e-6)


def test_what_keeps_state_is_found_in_clips_that_noise_does_not_tell(rng):
    loudest = [0.0]

    def peak_so_far(audio):
        loudest[0] = max(loudest[0], float(audio.max()))
        return np.repeat(np.float32([[loudest[0] > 5]]), 2, 1).repeat(len(audio), 0)

    classifier = wrapped(peak_so_far)
    check_function(classifier, 1.0)
    with pytest.raises(AudexError, match="asked after another clip"):
        classifier(jnp.asarray(rng.normal(size=(50, 1)) + 9), jnp.ones(50, bool))


def test_a_magnitude_has_a_gradient_beside_silence(rng):
    """|x| has none at 0 where it is the root of a square."""

    def back(audio, cotangent):
        with np.errstate(all="ignore"):
            return cotangent[:, :1] * audio / np.sqrt(audio**2)

    classifier = wrapped(lambda audio: np.repeat(np.abs(audio).sum(1, keepdims=True), 2, 1), back)
    clip = rng.normal(size=(2, 20)).astype(np.float32)
    clip[1, 10:] = 0
    found = classifier.pulled_back(clip, np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(found[:, :10], np.sign(clip[:, :10]))
    np.testing.assert_array_equal(np.abs(found), 1)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (lambda audio, cotangent: audio * np.nan, "gradient holds values that are not finite"),
        (lambda audio, cotangent: audio * 0, "gradient with respect to the audio is zero"),
        (lambda audio, cotangent: {}["none"], "the classifier raised KeyError: 'none'"),
    ],
)
def test_gradients_that_are_refused(back, said):
    with pytest.raises(AudexError, match=said) as error:
        check_function(wrapped(by_frame, back), 1.0)
    assert "\n" not in str(error.value)
