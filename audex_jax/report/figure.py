"""The picture of an explanation: what was heard, what the codec makes of it, what explains it, and what is left.

Four spectrograms on one scale, the attribution over time and the occlusion map in logits, and the verdict. Colours
are those of the report: grey for sound, orange for what speaks for the label, blue for what speaks against it. Orange
and blue differ for colour-blind readers, too.
"""

import math
import os
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.explain.maps import HOP, LEAST_DB, kept_map, mel_power
from audex_jax.explain.result import Explanation
from audex_jax.explain.verdict import KINDS
from audex_jax.io.atomic import replacing
from audex_jax.io.marks import MARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
WIDTHS = {"double": 7.16, "single": 3.5}  # inches of two columns and of one, as journals have them
ROW, TITLE, CAPTION = 1.15, 0.3, 0.135  # inches of a panel, of the title, and of a line of the caption
LETTERS = {"double": 118, "single": 55}  # of a line of the caption
INK, PAPER, FOR, AGAINST = "#22262b", "#ffffff", "#d9580d", "#1d6fc4"  # of the report, in light
CELLS = {"hop": 0.008, "bands": 72}  # of the spectrograms
RANGE_DB = 70.0  # below the loudest cell of the recording everything is white
QUIET = 2.0**-15  # half a step of 16 bits: what is below it at either end is not drawn
TICKS = (0.5, 1, 2, 4, 8, 16)  # kHz
DPI = 150

SOUNDS = ("recording", "reconstruction", "explanation", "residual")


def explanation_figure(
    audio: np.ndarray,
    explanations: list[Explanation],
    title: str,
    width: str = "double",
    occlusion_map: np.ndarray | None = None,
) -> "Figure":
    """Figure of a recording and the explanations of its segments, on one time axis.

    Silence of digital zeros at either end is cut off; times are those of the recording.

    Args:
        audio: the recording, `[n]` or `[n, c]`.
        explanations: of its consecutive segments (one for a short recording).
        title: shown above, as it is.
        width: of two columns or of one, `WIDTHS`.
        occlusion_map: `explain.maps.occlusion_maps` of the recording, `[f, m]`; without it stands what the
            explanation keeps of each cell.

    Raises:
        AudexError: another width.
    """
    if width not in WIDTHS:
        raise AudexError(f"no figure width {width!r}; choose {' or '.join(WIDTHS)}")
    first = explanations[0]
    rate, whole = first.sample_rate, {"recording": mono_of(audio)}
    for name, field in (("reconstruction",) * 2, ("explanation", "audio"), ("residual",) * 2):
        whole[name] = np.concatenate([mono_of(getattr(e, field)) for e in explanations])
    begin, end = _sounding(whole["recording"][: len(whole["explanation"])])
    sounds = {name: np.asarray(sound[begin:end], np.float32) for name, sound in whole.items()}
    seconds = begin / rate, end / rate

    columns = 2 if width == "double" else 1
    rows, lines = 6 // columns, textwrap.wrap(_caption(explanations), LETTERS[width])
    bottom = 0.42 + CAPTION * len(lines)
    height = TITLE + rows * ROW + bottom
    figure = new_figure(WIDTHS[width], height)
    figure.text(0.5, 1 - 0.19 / height, title, ha="center", fontsize=9, color=INK, parse_math=False)
    figure.text(0.5, 0.06 / height, "\n".join(lines), ha="center", fontsize=7.5, color=INK, parse_math=False)
    inches = WIDTHS[width]
    margins = {"left": 0.52 / inches, "right": 1 - 0.66 / inches, "bottom": bottom / height, "top": 1 - TITLE / height}
    grid = figure.subplots(rows, columns, sharex=True, gridspec_kw={**margins, "hspace": 0.1, "wspace": 0.18})
    axes = grid.ravel().tolist()

    powers = {name: mel_power(sound, rate, **CELLS) for name, sound in sounds.items()}
    loudest = max(float(powers["recording"].max()), 1e-12)
    for axis, (name, power) in zip(axes, powers.items(), strict=False):
        decibels = 10 * np.log10(np.maximum(power / loudest, 1e-12))
        picture = _cells(axis, decibels, seconds, rate, _colours(PAPER, INK), -RANGE_DB, 0)
        _name(axis, name)
    _bar(figure, picture, axes[:4], "dB, 0 is the loudest")

    attribution = np.concatenate([e.attribution for e in explanations])
    edges = np.arange(len(attribution) + 1) / first.frame_rate
    for values, colour, side in ((np.maximum, FOR, "for"), (np.minimum, AGAINST, "against")):
        axes[4].stairs(values(attribution, 0).sum(1), edges, fill=True, color=colour, label=side)
    axes[4].margins(y=0.05)
    low, high = axes[4].get_ylim()
    axes[4].set_ylim(low, high + 0.3 * (high - low))  # room for the names
    axes[4].axhline(0, color=INK, linewidth=0.5)
    axes[4].set_ylabel("logit per frame")
    axes[4].legend(loc="upper right", fontsize=6.5, frameon=False, ncols=2, handlelength=1, borderaxespad=0.1)
    axes[4].ticklabel_format(axis="y", scilimits=(-2, 3))
    axes[4].yaxis.get_offset_text().set_fontsize(6.5)
    against = "" if first.versus is None else f" rather than {first.versus!r}"
    labels = {e.target for e in explanations}
    what = f"{first.target!r}{against}" if len(labels) == 1 else "each segment's label"
    _name(axes[4], f"attribution for {what}")

    if occlusion_map is None:
        kept = kept_map(sounds["explanation"], sounds["reconstruction"], rate, **CELLS)
        picture = _cells(axes[5], kept, seconds, rate, _colours(PAPER, FOR), LEAST_DB, 0)
        _name(axes[5], "kept by the explanation")
        _bar(figure, picture, axes[5:], "dB")
    else:
        limit = float(np.abs(occlusion_map).max()) or 1.0
        span = 0, len(occlusion_map) * HOP
        picture = _cells(axes[5], occlusion_map, span, rate, _colours(AGAINST, PAPER, FOR), -limit, limit)
        _name(axes[5], f"fall of the logit of {what} when removed")
        _bar(figure, picture, axes[5:], "logit")

    cuts = np.cumsum([len(e.audio) for e in explanations[:-1]]) / rate
    for axis in axes:
        axis.set_xlim(*seconds)
        axis.tick_params(labelsize=6.5)
        axis.yaxis.label.set_size(7)
        axis.spines[["top", "right"]].set_visible(False)
        for cut in cuts:
            axis.axvline(cut, color=INK, linewidth=0.5, linestyle=":")
    for axis in grid.reshape(rows, columns)[-1]:
        axis.set_xlabel("time (s)", fontsize=7)
    return figure


def confusion_figure(confusion: np.ndarray, labels: Sequence[str]) -> "Figure":
    """Counts of clips, rows: label, columns: prediction, `[k, k]`, coloured by the share of their label."""
    size = 2.5 + 0.35 * len(labels)
    figure = new_figure(size, size, layout="constrained")
    axis = figure.subplots()
    axis.imshow(confusion / np.maximum(confusion.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            axis.text(column, row, str(count), ha="center", va="center", fontsize=7, color=FOR)
    places = range(len(labels))
    axis.set_xticks(places, labels, rotation=90, fontsize=8, parse_math=False)
    axis.set_yticks(places, labels, fontsize=8, parse_math=False)
    axis.set_xlabel("prediction")
    axis.set_ylabel("label")
    return figure


def new_figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> "Figure":
    """An empty figure of `width` by `height` inches that draws into memory.

    Matplotlib is imported here, since it takes its time: what explains imports this module before it draws anything.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: str | os.PathLike, figure: "Figure", kind: str = "png") -> None:
    """Write a figure as one of `FORMATS`, pixels at 150 dots per inch, whole or not at all."""
    how: dict[str, Any] = {"metadata": {"Software" if kind == "png" else "Creator": MARK}}
    if kind == "png":
        how["pil_kwargs"] = {"compress_level": 3}  # in a fifth less time
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=DPI, **how)


def mono_of(audio: np.ndarray) -> np.ndarray:
    """Mean over channels, `[n]`."""
    return audio if audio.ndim == 1 else audio.mean(1)


def _cells(axis, values: np.ndarray, seconds: tuple[float, float], rate: int, colours, low: float, high: float):
    """A map `[f, m]` on mel bands, with ticks in kHz."""
    picture = axis.imshow(
        values.T, origin="lower", aspect="auto", extent=(*seconds, 0, 1), cmap=colours, vmin=low, vmax=high
    )
    ticks = [tick for tick in TICKS if tick <= rate / 2000]
    axis.set_yticks([np.log1p(tick / 0.7) / np.log1p(rate / 1400) for tick in ticks], [f"{tick:g}" for tick in ticks])
    axis.set_ylabel("kHz (mel)")
    return picture


def _colours(*ends: str):
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("audex", ends)


def _bar(figure: "Figure", picture, axes: list, text: str) -> None:
    """A colour bar to the right of axes, from the top of the first to the bottom of the last."""
    places = [axis.get_position() for axis in axes]
    right, bottom = max(place.x1 for place in places), min(place.y0 for place in places)
    width = figure.get_size_inches()[0]
    tall = max(place.y1 for place in places) - bottom
    bar = figure.colorbar(picture, cax=figure.add_axes((right + 0.06 / width, bottom, 0.09 / width, tall)))
    largest = max(abs(limit) for limit in picture.get_clim())
    power = 0 if 0.1 <= largest < 1000 or not largest else math.floor(math.log10(largest))
    bar.set_label(f"{text}, 1e{power}" if power else text, fontsize=6.5, labelpad=1)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:g}")
    bar.ax.tick_params(labelsize=6.5)


def _name(axis, text: str) -> None:
    """The name of a panel, inside it."""
    box = {"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 1}
    axis.text(0.01, 0.97, text, transform=axis.transAxes, va="top", fontsize=7, color=INK, bbox=box, parse_math=False)


def _sounding(mono: np.ndarray) -> tuple[int, int]:
    """First sample that is no digital silence, and the one after the last; the whole where all is silent.

    >>> _sounding(np.array([0.0, 0.0, 0.5, 0.0, 0.1, 0.0]))
    (2, 5)
    """
    (loud,) = np.nonzero(np.abs(mono) > QUIET)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(mono))


def _caption(explanations: Sequence[Explanation]) -> str:
    """The verdict in one sentence; of several segments, how often which verdict."""
    if len(explanations) == 1:
        return explanations[0].verdict.headline
    found = Counter(e.verdict.kind for e in explanations)
    return f"{len(explanations)} segments: " + ", ".join(f"{KINDS[kind]} {n}" for kind, n in found.most_common())
