"""What an explanation can do by itself, once the report is there."""

import json

import numpy as np
import soundfile

import audex_jax as audex
from audex_jax.core.settings import Settings


def test_an_explanation_is_saved_drawn_and_reported(mdct_explainer, tmp_path, rng):
    assert audex.Explanation.save  # the public name brings the methods
    clip = 0.5 * rng.normal(size=800).astype(np.float32)
    (e,) = mdct_explainer.explain_clips([clip], settings=Settings(ranking="weighted", steps=4))
    record = e.save(tmp_path / "out", "whistle")
    assert (
        record["prediction"]
        == e.prediction
        == json.loads((tmp_path / "out" / "whistle.json").read_text())["prediction"]
    )
    np.testing.assert_allclose(soundfile.read(tmp_path / "out" / "whistle.wav")[0], e.gain * clip, atol=1e-4)
    np.testing.assert_allclose(soundfile.read(tmp_path / "out" / "whistle.explanation.wav")[0], e.audio, atol=1e-4)
    assert len(e.plot().axes) >= 5
    e.report(tmp_path / "page.html", "whistle")
    assert "whistle" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert repr(e).startswith(f"Explanation({e.prediction!r} ")
    assert len(repr(e)) < 300
    assert e.gain < 1  # louder than a file can hold
