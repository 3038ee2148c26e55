"""What an explanation can do with the help of the report: be saved, drawn, and shown. The record knows no report.

explanation.save("folder")           the files of `audex explain`: sounds, attribution, picture, JSON
explanation.plot()                   a matplotlib figure
explanation.report("page.html")      one page to hear and see it
"""

import os
import pathlib
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from audex_jax.explain.result import Explanation
from audex_jax.io.audio import read_audio, write_audio
from audex_jax.report.figure import explanation_figure
from audex_jax.report.folder import write_explanation
from audex_jax.report.notebook import explanation_html
from audex_jax.report.page import write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "recording"


def save(explanation: Explanation, folder: str | os.PathLike, name: str = NAME) -> dict:
    """Write sounds, attribution, picture and JSON of an explanation, as `audex explain` does, and the recording.

    All sounds have the level of the explanation, `Explanation.gain`.

    Args:
        explanation: of one clip.
        folder: to write to; it is made.
        name: of the files, without suffix.

    Returns:
        The content of the JSON file.

    Raises:
        AudexError: the folder cannot be written.
    """
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    path, rate = out / f"{name}.wav", explanation.sample_rate
    write_audio(path, explanation.gain * explanation.recording, rate)
    channels = 1 if explanation.recording.ndim == 1 else explanation.recording.shape[1]
    return write_explanation(out, name, path, read_audio(path, rate, channels), [explanation], "")


def plot(explanation: Explanation, width: str = "double", occlusion_map: np.ndarray | None = None) -> "Figure":
    """Figure of the recording, its reconstruction, the explanation, the residual, and the evidence.

    Args:
        explanation: of one clip.
        width: "double" for two columns of a journal, "single" for one.
        occlusion_map: of the explanation, `[f, m]`, from `audex_jax.explain.maps.occlusion_maps`; without it the
            figure shows what the explanation keeps of each cell.

    Raises:
        AudexError: another width.
    """
    title = f"classified as {explanation.prediction!r} ({explanation.prediction_probability:.2f})"
    return explanation_figure(explanation.recording, [explanation], title, width, occlusion_map)


def report(explanation: Explanation, path: str | os.PathLike, name: str = NAME) -> None:
    """Write one HTML page to hear and see an explanation.

    Args:
        explanation: of one clip.
        path: of the page.
        name: of the recording, as the page shows it.
    """
    with tempfile.TemporaryDirectory() as folder:
        save(explanation, folder, name)
        write_report(pathlib.Path(folder), pathlib.Path(path))


for attribute, function in (("save", save), ("plot", plot), ("report", report), ("_repr_html_", explanation_html)):
    setattr(Explanation, attribute, function)
