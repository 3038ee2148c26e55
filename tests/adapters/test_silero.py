"""A pretrained model that people use: silero-vad, a voice activity detector, on recorded words."""

import csv
import importlib.util
import pathlib

import numpy as np
import pytest

from audex_jax.adapters.explainers import from_torch
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.io.audio import read_audio

torch = pytest.importorskip("torch", reason="needs the extra `torch`")
DATA = pathlib.Path(__file__).parents[3] / "shared" / "data" / "speech_commands"
PACKAGE = importlib.util.find_spec("silero_vad")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(PACKAGE is None, reason="needs silero-vad"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.load. is deprecated:DeprecationWarning"),
]
RATE, WINDOW = 16000, 512  # samples that the detector takes at once
SPEECH = 16  # windows: half a second, about a word
CLIPS = 24
ARMS = {
    "weighted": {"ranking": "weighted"},
    "magnitude": {"method": "magnitude", "ranking": "magnitude"},
    "random": {"method": "random", "ranking": "absolute"},
}


class Detector(torch.nn.Module):
    """Mean logit of speech in the half second that is most like speech, from audio `[b, n]`."""

    def __init__(self, reset: bool = True):
        super().__init__()
        assert PACKAGE is not None
        self.vad = torch.jit.load(pathlib.Path(PACKAGE.origin).parent / "data" / "silero_vad.jit")
        self.reset = reset

    def forward(self, audio):
        if self.reset:
            self.vad.reset_states()
        padded = torch.nn.functional.pad(audio, (0, -audio.shape[-1] % WINDOW))
        windows = padded.unfold(-1, WINDOW, WINDOW).unbind(1)
        logits = torch.cat([self.vad(window, RATE) for window in windows], 1).logit(1e-6)
        return logits.topk(min(SPEECH, len(windows)), 1).values.mean(1, keepdim=True)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def clips(detector) -> list[np.ndarray]:
    """The first clip of each of 24 words that the detector takes for speech, of speakers of the test set."""
    if not DATA.is_dir():
        pytest.skip("needs recordings of Speech Commands, which are not in the package")
    found = {}
    for row in csv.DictReader((DATA / "splits.csv").read_text().splitlines()):
        if row["split"] == "test" and row["label"] not in found and len(found) < CLIPS:
            clip = read_audio(DATA / row["file"], RATE)
            with torch.no_grad():
                if detector(torch.from_numpy(clip[None])).item() > 0:
                    found[row["label"]] = clip
    return list(found.values())


def test_a_detector_that_keeps_its_state_is_refused():
    with pytest.raises(AudexError, match="keeps state"):
        from_torch(Detector(reset=False), ["speech"], RATE, output="independent-logits")


@pytest.mark.slow
def test_a_twentieth_of_the_elements(detector, clips):
    """With 5 % of the elements kept, speech is heard in these, and not in the rest; with random ones it is not so."""
    explainer = from_torch(detector, ["speech"], RATE, output="independent-logits", clip_seconds=1.0)
    keep, delete = {}, {}
    for name, fields in ARMS.items():
        found = explainer.explain_clips(clips, "speech", Settings(keep=0.05, **fields))
        assert all(e.reconstruction_agrees for e in found)
        keep[name] = np.mean([e.sufficient for e in found])
        delete[name] = np.mean([e.necessary for e in found])
    assert len(clips) == CLIPS
    assert keep["weighted"] >= 0.95, (keep, delete)
    assert delete["weighted"] >= 0.85
    assert max(keep["random"], delete["random"]) <= 0.2
