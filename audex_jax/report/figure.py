"""The picture of one explanation: waveform, spectrogram, attribution over time and dimension, and what was kept."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from audex_jax.explain.result import Explanation
from audex_jax.io.atomic import replacing
from audex_jax.io.marks import MARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# of the axes, as shares of the figure; to work them out from the texts would double the time that a picture takes
MARGINS = {"left": 0.09, "right": 0.885, "bottom": 0.06, "top": 0.945, "hspace": 0.12}
OUTLINE = 2000  # points in time of a waveform, two for each pixel of its width
INK, FAINT, FOR, AGAINST = "#1b1f24", "#9aa4af", "#c1272d", "#1f5fa8"


def explanation_figure(
    audio: np.ndarray, explanations: list[Explanation], title: str, what: str = "recording"
) -> "Figure":
    """Figure of a recording and the explanations of its segments, side by side on one time axis.

    Args:
        audio: the recording, `[n]` or `[n, c]`.
        explanations: of its consecutive segments (one for a short recording).
        title: shown above, as it is.
        what: what `audio` is, for the legend.
    """
    rate = explanations[0].sample_rate
    mono = audio if audio.ndim == 1 else audio.mean(1)
    kept = np.concatenate([mono_of(e.audio) for e in explanations])
    mono = mono[: len(kept)]
    seconds = len(mono) / rate
    attribution = np.concatenate([e.attribution for e in explanations])
    mask = np.concatenate([e.mask for e in explanations])
    frames = np.linspace(0, seconds, len(attribution) + 1)

    figure = new_figure(7.0, 7.4)
    figure.suptitle(title, fontsize=10, color=INK, parse_math=False, y=0.985)
    axes = figure.subplots(5, 1, sharex=True, height_ratios=(1, 1.2, 1.5, 0.8, 1), gridspec_kw=MARGINS)

    axes[0].plot(*_outline(mono, rate), color=FAINT, linewidth=0.5, label=what)
    axes[0].plot(*_outline(kept, rate), color=FOR, linewidth=0.5, label="explanation")
    axes[0].set_ylabel("amplitude")
    axes[0].legend(loc="upper right", fontsize=7, frameon=False, ncols=2)

    window = min(512, max(16, len(mono) // 4))
    spectrum = _spectrogram_db(mono, window)
    extent = (0.0, seconds, 0.0, rate / 2000)
    axes[1].imshow(spectrum.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-80, vmax=0)
    axes[1].set_ylabel("frequency (kHz)")

    limit = float(np.quantile(np.abs(attribution), 0.999)) or 1.0
    dims = np.arange(attribution.shape[1] + 1)
    picture = axes[2].pcolormesh(frames, dims, attribution.T, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
    axes[2].set_ylabel("latent dimension")
    place = axes[2].get_position()
    bar = figure.colorbar(picture, cax=figure.add_axes((0.895, place.y0, 0.014, place.height)))
    bar.set_label("attribution (logit)", fontsize=7)

    centres = (frames[:-1] + frames[1:]) / 2
    width = frames[1] - frames[0]
    axes[3].bar(centres, np.maximum(attribution, 0).sum(1), width, color=FOR, label="for")
    axes[3].bar(centres, np.minimum(attribution, 0).sum(1), width, color=AGAINST, label="against")
    axes[3].axhline(0, color=INK, linewidth=0.5)
    axes[3].set_ylabel("per frame")
    axes[3].legend(loc="upper right", fontsize=7, frameon=False, ncols=2)

    axes[4].pcolormesh(frames, dims, mask.T, cmap="Greys", vmin=0, vmax=1, rasterized=True)
    axes[4].set_ylabel("kept elements")
    axes[4].set_xlabel("time (s)")
    axes[4].set_xlim(0, seconds)
    for axis in (bar.ax, axes[3]):  # of numbers of any size, whose labels must fit into the margins
        axis.ticklabel_format(axis="y", scilimits=(-2, 3))
        axis.yaxis.get_offset_text().set_fontsize(7)
    bar.ax.tick_params(labelsize=7)
    for axis in axes:
        axis.tick_params(labelsize=7)
        axis.yaxis.label.set_size(8)
        axis.spines[["top", "right"]].set_visible(False)
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


def save_figure(path: str | os.PathLike, figure: "Figure") -> None:
    """Write a figure as PNG at 150 dots per inch, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(
            temporary, format="png", dpi=150, metadata={"Software": MARK}, pil_kwargs={"compress_level": 3}
        )  # in a fifth less time


def mono_of(audio: np.ndarray) -> np.ndarray:
    """Mean over channels, `[n]`."""
    return audio if audio.ndim == 1 else audio.mean(1)


def _outline(audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and samples, of long audio the least and the greatest of every few: the same line, drawn sooner."""
    few = max(1, len(audio) // OUTLINE)
    if few < 3:
        return np.arange(len(audio)) / rate, audio
    parts = np.pad(audio, (0, -len(audio) % few), mode="edge").reshape(-1, few)
    ends = np.stack([parts.min(1), parts.max(1)], axis=1)
    return np.repeat((np.arange(len(parts)) + 0.5) * few / rate, 2), ends.ravel()


def _spectrogram_db(audio: np.ndarray, window: int) -> np.ndarray:
    """Power in dB below the loudest bin, `[frames, bins]`; Hann window, a quarter of it apart."""
    padded = np.pad(audio, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[:: window // 4]
    power = np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2
    return 10 * np.log10(np.maximum(power, 1e-12) / max(power.max(), 1e-12))
