"""The picture of an explanation."""

from types import SimpleNamespace

import numpy as np
import pytest

from audex_jax.core.errors import AudexError
from audex_jax.report.figure import FORMATS, WIDTHS, explanation_figure, save_figure


def explanation(rng, samples: int, scale: float = 1.0):
    sounds = {name: rng.normal(size=samples) for name in ("audio", "reconstruction", "residual")}
    attribution = scale * rng.normal(size=(samples // 20, 6))
    judged = SimpleNamespace(kind="holds", headline="The explanation alone is still classified as 'stop'. " * 3)
    return SimpleNamespace(
        sample_rate=1000, frame_rate=50, attribution=attribution, target="stop", versus=None, verdict=judged, **sounds
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 300.0])
def test_nothing_reaches_over_the_edge(rng, width, scale):
    of_map = scale * rng.normal(size=(45, 40))
    figure = explanation_figure(rng.normal(size=900), [explanation(rng, 900, scale)], "a title", width, of_map)
    figure.canvas.draw()
    whole = figure.get_tightbbox()
    across, tall = figure.get_size_inches()
    assert across == WIDTHS[width]
    assert min(whole.x0, whole.y0) >= 0
    assert whole.x1 <= across
    assert whole.y1 <= tall


def test_all_sounds_are_on_one_scale_with_units(rng):
    figure = explanation_figure(rng.normal(size=900), [explanation(rng, 900)], "a title")
    pictures = [axis.images[0] for axis in figure.axes[:4]]
    assert {(picture.get_clim(), picture.get_cmap().name) for picture in pictures} == {((-70, 0), "audex")}
    texts = [text.get_text() for axis in figure.axes for text in (axis.xaxis.label, axis.yaxis.label)]
    assert {"time (s)", "kHz (mel)", "logit per frame", "dB, 0 is the loudest"} <= set(texts)
    assert "still classified" in figure.texts[1].get_text()


def test_digital_silence_is_cut_off_and_times_stay(rng):
    audio = np.zeros(900)
    audio[300:600] = rng.normal(size=300)
    figure = explanation_figure(audio, [explanation(rng, 900)], "a title")
    assert figure.axes[0].get_xlim() == pytest.approx((0.3, 0.6), abs=0.002)
    assert explanation_figure(np.zeros(900), [explanation(rng, 900)], "").axes[0].get_xlim() == (0, 0.9)


def test_segments_are_marked_and_counted(rng):
    parts = [explanation(rng, 900), explanation(rng, 500)]
    parts[1].verdict.kind = "lost"
    figure = explanation_figure(rng.normal(size=1400), parts, "a title", "single")
    assert "2 segments: holds 1, lost 1" in figure.texts[1].get_text()
    assert figure.axes[0].get_xlim() == pytest.approx((0, 1.4), abs=0.01)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_can_be_replaced(rng, tmp_path, kind):
    figure = explanation_figure(rng.normal(size=900), [explanation(rng, 900)], "a title")
    for _ in range(2):  # what was written holds the mark of the tool
        save_figure(tmp_path / f"x.{kind}", figure, kind)
    assert (tmp_path / f"x.{kind}").read_bytes()[:5] in (b"\x89PNG\r", b"%PDF-", b"<?xml")


def test_another_width_is_refused(rng):
    with pytest.raises(AudexError, match="no figure width 'wide'; choose double or single"):
        explanation_figure(rng.normal(size=900), [explanation(rng, 900)], "a title", "wide")
