"""A black box that people use: pymicro-wakeword, a streaming int8 model in TFLite, on words that espeak-ng says."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from audex_jax.adapters.explainers import from_function
from audex_jax.core.errors import AudexError
from audex_jax.core.resample import resample
from audex_jax.core.settings import Settings

wakeword = pytest.importorskip("pymicro_wakeword", reason="needs pymicro-wakeword")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng"),
]
RATE = 16000
VOICES = ("en", "en-us", "en-gb-scotland", "en+m3")
SPEEDS = (150, 180)


def said(text: str, voice: str, speed: int) -> np.ndarray:
    """One second that ends 0.1 s after the word, with noise of -80 dB."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text]
    audio, rate = soundfile.read(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout))
    word = np.asarray(resample(audio.astype(np.float32), rate, RATE))[: RATE - 1600]
    clip = 1e-4 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    clip[RATE - 1600 - len(word) : RATE - 1600] += word
    return clip


def heard(audio: np.ndarray, model=None) -> float:
    """Highest probability of "alexa", of a model that has heard nothing before."""
    model = model or wakeword.MicroWakeWord.from_builtin(wakeword.Model.ALEXA)
    samples = (32767 * np.clip(audio, -1, 1)).astype(np.int16).tobytes()
    features = wakeword.MicroWakeWordFeatures().process_streaming(samples)
    return max((model.process_streaming_prob(frame) or 0 for frame in features), default=0)


def detector(audio: np.ndarray) -> np.ndarray:
    return np.array([[heard(clip)] for clip in audio], np.float32)


def explainer_of(function):
    return from_function(function, ["alexa"], RATE, output="independent-probabilities", clip_seconds=1.0)


def test_a_model_that_keeps_its_state_is_refused():
    """On noise it always says 0; a clip tells."""
    model = wakeword.MicroWakeWord.from_builtin(wakeword.Model.ALEXA)
    explainer = explainer_of(lambda audio: np.array([[heard(clip, model)] for clip in audio], np.float32))
    classifier, clip = explainer.model.classifier, said("alexa", "en", 150)
    with pytest.raises(AudexError, match="keeps state"):
        classifier(clip[:, None], np.ones(len(clip), bool))


@pytest.mark.slow
def test_a_tenth_of_the_elements():
    """Kept, they are the word; so are the loudest ones, but without these the word is heard all the same."""
    clips = [said("alexa", voice, speed) for voice in VOICES for speed in SPEEDS]
    explainer = explainer_of(detector)
    keep, delete = {}, {}
    for name, fields in {"default": {}, "magnitude": {"method": "magnitude", "ranking": "magnitude"}}.items():
        found = explainer.explain_clips(clips, "alexa", Settings(keep=0.1, **fields))
        assert all(e.prediction == "alexa" and e.reconstruction_agrees for e in found)
        keep[name], delete[name] = (np.mean([getattr(e, what) for e in found]) for what in ("sufficient", "necessary"))
    assert keep["default"] >= 0.85, (keep, delete)
    assert delete["default"] >= 0.75
    assert delete["default"] >= delete["magnitude"] + 0.3
