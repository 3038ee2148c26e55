"""`explain_files`: every recording is told of once, in order, and what is explained is on disk whatever follows."""

import numpy as np
import pytest

from audex_jax.core.settings import Settings
from audex_jax.explain.explainer import Explainer
from audex_jax.io.audio import write_audio
from audex_jax.report import files

SETTINGS = Settings(steps=8, ranking="weighted")


@pytest.fixture
def recordings(tmp_path, rng, monkeypatch):
    """Four, the second broken; two segments are explained at once."""
    monkeypatch.setattr(files, "BATCHES", (2,))
    paths = [tmp_path / name for name in ("a.wav", "bad.wav", "b.wav", "two segments.wav")]
    for path, samples in zip(paths, (800, 0, 500, 1700), strict=True):
        write_audio(path, 0.1 * rng.normal(size=samples), 1000)
    return paths


def explain(explainer, recordings):
    out = recordings[0].parent / "out"
    out.mkdir()
    for result in files.explain_files(explainer, recordings, out, None, SETTINGS, "tiny"):
        yield result.path.name, result.error is None, (out / f"{result.path.stem}.json").exists()


def test_every_recording_is_told_of_once(mdct_explainer, recordings):
    told = [(path.name, *[path.name != "bad.wav"] * 2) for path in recordings]
    assert list(explain(mdct_explainer, recordings)) == told


def test_what_is_done_is_written_if_what_follows_cannot_begin(mdct_explainer, recordings):
    class RunsOut(Explainer):
        def start(self, clips, *rest):
            if np.sum([len(clip) for clip in clips]) > 1500:
                raise MemoryError
            return super().start(clips, *rest)

    told = explain(RunsOut(mdct_explainer.model, mdct_explainer.labels, 1.0), recordings)
    assert [next(told)[0] for _ in range(3)] == ["a.wav", "bad.wav", "b.wav"]
    with pytest.raises(MemoryError):
        next(told)
