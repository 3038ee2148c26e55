"""How an explanation shows itself in a notebook: the verdict in words, players, and the picture. Needs no network."""

import base64
import html
import io

import numpy as np

from audex_jax.core.level import within
from audex_jax.explain.result import Explanation
from audex_jax.io.audio import flac_of
from audex_jax.report.figure import explanation_figure


def explanation_html(explanation: Explanation) -> str:
    """An explanation as a piece of HTML that holds its sounds and its picture; labels in it are escaped.

    Example:
        In Jupyter, the last line of a cell is enough:

            explainer.explain(audio, keep=0.1)
    """
    e, verdict = explanation, explanation.verdict
    text = f"classified as {e.prediction!r} ({e.prediction_probability:.2f}), {e.keep:.0%} kept"
    picture = io.BytesIO()
    figure = explanation_figure(e.recording, [e], text)
    figure.savefig(picture, format="png", dpi=100)
    sounds = (
        ("recording", within(e.gain * e.recording)[0]),
        ("reconstruction", e.reconstruction),
        ("explanation", e.audio),
        ("residual", e.residual),
    )
    players = "".join(player(name, audio, e.sample_rate) for name, audio in sounds)
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in verdict.reasons)
    described = html.escape(f"Spectrograms and evidence; {text}", quote=True)
    return (
        f"<div><p><b>{html.escape(verdict.headline)}</b></p><ul>{reasons}</ul>"
        f'<div style="display:flex;flex-wrap:wrap;gap:0.5em 1em">{players}</div>'
        f'<img alt="{described}" style="max-width:min(100%,700px);background:white" '
        f'src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"></div>'
    )


def player(name: str, audio: np.ndarray, sample_rate: int) -> str:
    """A player that holds its sound."""
    sound = base64.b64encode(flac_of(audio, sample_rate)).decode()
    return f'<div>{name}<br><audio controls src="data:audio/flac;base64,{sound}"></audio></div>'
