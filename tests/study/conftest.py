"""A small study made without any model: every method is a tone of its own."""

import pathlib
import types

import numpy as np
import pytest
import soundfile

from audex_jax.study import make
from audex_jax.study.plan import StudyPlan
from audex_jax.study.sounds import Explained

RATE = 8000
EVIL_LABEL = '</script>,"<img src=x onerror=window.hurt=1>"\n'
LABELS = ("no", EVIL_LABEL, "yes")
PITCHES = {"signed": 300, "random": 500, "waveform-ig": 700}
LEVELS = {"signed": 0.01, "random": 0.9, "waveform-ig": 0.1}
CLIPS = 3


def tone(pitch: float, level: float) -> np.ndarray:
    """An eighth of a second."""
    return (level * np.sin(2 * np.pi * pitch * np.arange(RATE // 8) / RATE)).astype(np.float32)


@pytest.fixture
def make_study(monkeypatch, tmp_path):
    """Makes a study of three clips in `tmp_path / "study"`; keywords are fields of its plan."""

    def explain(explainer, audio, methods, keep, seed, number) -> Explained:
        return Explained(LABELS[number % 3], 0.9, {m: tone(PITCHES[m], LEVELS[m]) for m in methods})

    monkeypatch.setattr(make, "explain_by", explain)
    model = types.SimpleNamespace(codec=types.SimpleNamespace(channels=1))
    explainer = types.SimpleNamespace(sample_rate=RATE, clip_samples=RATE, labels=LABELS, model=model)
    recordings = []
    for i in range(CLIPS):
        path = tmp_path / "recordings" / f"yes-{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, tone(1000 + i, 0.5), RATE)
        recordings.append(make.Recording(path, LABELS[i % 3]))

    def study(out: pathlib.Path | None = None, **plan) -> make.Written:
        fields = {"methods": ("signed", "random", "input-ig"), "listeners": 6} | plan
        return make.write_study(
            explainer,  # pyright: ignore[reportArgumentType]
            "made-up",
            recordings,
            StudyPlan(**fields),
            out or tmp_path / "study",
        )

    return study
