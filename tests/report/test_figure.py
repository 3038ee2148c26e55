"""The picture of an explanation."""

from types import SimpleNamespace

import numpy as np
import pytest

from audex_jax.report.figure import explanation_figure


def explanation(rng, samples: int, scale: float = 1.0):
    shape = (samples // 20, 6)
    return SimpleNamespace(
        sample_rate=1000,
        audio=rng.normal(size=samples),
        attribution=scale * rng.normal(size=shape),
        mask=rng.random(shape) < 0.2,
    )


@pytest.mark.parametrize("scale", [1e-4, 0.03, 1.0, 300.0])
def test_nothing_reaches_over_the_edge(rng, scale):
    figure = explanation_figure(rng.normal(size=900), [explanation(rng, 900, scale)], "a title")
    figure.canvas.draw()
    whole = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert whole.x0 >= 0
    assert whole.y0 >= 0
    assert whole.x1 <= width
    assert whole.y1 <= height


@pytest.mark.parametrize("samples", [700, 40_123])
def test_the_waveform_shows_every_peak(rng, samples):
    audio, peaks = np.zeros(samples), rng.choice(samples, 5, replace=False)
    audio[peaks] = 1, -1, 1, -1, 1
    figure = explanation_figure(audio, [explanation(rng, samples)], "a title")
    seconds, shown = figure.axes[0].lines[0].get_data()
    assert len(shown) <= 12_000
    for peak in peaks:
        near = np.abs(seconds - peak / 1000) <= 0.01
        assert audio[peak] in shown[near]
