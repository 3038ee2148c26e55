"""How an explanation shows itself in a notebook: the verdict in words, players, and the picture. Needs no network."""

import base64
import html
import io

from audex_jax.explain.explainer import Explanation
from audex_jax.explain.verdict import verdict
from audex_jax.report.clips import data_url, flac_of
from audex_jax.report.figure import explanation_figure
from audex_jax.report.files import judged


def explanation_html(explanation: Explanation) -> str:
    """An explanation as a piece of HTML that holds its sounds and its picture; labels in it are escaped.

    Example:
        In Jupyter, the last line of a cell is enough:

            explainer.explain(audio, keep=0.1)
    """
    e = explanation
    judgement = verdict(judged(e))
    text = f"heard as {e.predicted!r} ({e.probabilities[e.predicted]:.2f}), {e.settings.keep:.0%} kept"
    picture = io.BytesIO()
    figure = explanation_figure(e.reconstruction, [e], text, "reconstruction")
    figure.savefig(picture, format="png", dpi=100)
    sounds = (("explanation", e.audio), ("residual", e.residual), ("reconstruction", e.reconstruction))
    player = '<div>{}<br><audio controls src="{}"></audio></div>'
    players = "".join(player.format(name, data_url(flac_of(audio, e.sample_rate))) for name, audio in sounds)
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in judgement.reasons)
    described = html.escape(f"Waveform, spectrogram and attribution; {text}", quote=True)
    return (
        f"<div><p><b>{html.escape(judgement.headline)}</b></p><ul>{reasons}</ul>"
        f'<div style="display:flex;flex-wrap:wrap;gap:0.5em 1em">{players}</div>'
        f'<img alt="{described}" style="max-width:min(100%,700px);background:white" '
        f'src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}"></div>'
    )
