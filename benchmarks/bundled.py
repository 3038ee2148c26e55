"""Does a bundled explainer hold what its card says?

    python -m benchmarks.bundled DATA [--model mini-speech-commands] [--limit 300] [--json FILE] [--card FILE]

DATA is the labelled folder that the explainer was trained on; its test split is used. Figures: STOI and level of the
codec's reconstruction, accuracy of the classifier on clips and on reconstructions, completeness gap against the number
of points, and for every ranking the share of clips whose prediction stays when a share of the latent is kept, and
changes when it is taken out. --card puts the tables between the marks of a model card.
"""

import argparse
import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from pystoi import stoi

from audex_jax.bundles import load_explainer
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.folder import clips_of
from audex_jax.evaluation.outputs import header_of, rows_of
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import choose, evaluate
from audex_jax.evaluation.summary import summarise
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model, classify_audio, decode_clips, encode_and_classify, level_gain
from audex_jax.io.audio import level_db
from benchmarks.attribution import attributions
from benchmarks.measure import parser_for, report, show, table

RANKINGS = f"{Settings.ranking},weighted,absolute,signed,magnitude,random"
SHARES = (0.1, 0.2, 0.417)
STEPS = (16, 24, 64, 256, 1024)
GAP_CLIPS = 32
BATCH = 16
START, END = "<!-- figures -->\n", "<!-- end of figures -->"

classify = jax.jit(classify_audio)
encode = jax.jit(encode_and_classify)


@jax.jit
def reconstruct(model: Model, audio: jax.Array, lengths: jax.Array) -> jax.Array:
    """What the codec keeps of clips, at their own level."""
    decoded = decode_clips(model.codec, model.codec.encode(audio, lengths), lengths, audio.shape[1])
    return decoded * level_gain(model.codec, decoded, audio, lengths)


def batches(explainer: Explainer, clips: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Batches of `BATCH` clips: audio, lengths, and the number of clips before the padding of the last batch."""
    for start in range(0, len(clips), BATCH):
        chosen = [clip[: explainer.clip_samples] for clip in clips[start : start + BATCH]]
        yield *explainer.pad(chosen + chosen[:1] * (BATCH - len(chosen))), len(chosen)


def stoi_of(recording: np.ndarray, sound: np.ndarray, rate: int) -> float:
    """STOI of a sound `[n]` against a recording; NaN without enough speech."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return stoi(recording, sound, rate)
        except RuntimeWarning:
            return float("nan")


def codec_figures(explainer: Explainer, model: Model, clips: list[np.ndarray]) -> dict[str, float]:
    """STOI (of the clips with enough speech for it) and level of the reconstruction against the clip."""
    scores, levels = [], []
    for audio, lengths, real in batches(explainer, clips):
        sounds = np.asarray(reconstruct(model, audio, lengths))
        for recording, sound, length in zip(audio[:real], sounds[:real], lengths[:real], strict=True):
            own, made = recording[:length].mean(-1), sound[:length].mean(-1)
            levels.append(level_db(made) - level_db(own))
            scores.append(stoi_of(own, made, explainer.sample_rate))
    return {
        "STOI": float(np.nanmean(scores)),
        "clips without enough speech for STOI": int(np.isnan(scores).sum()),
        "level, dB": float(np.mean(levels)),
        "absolute, dB": float(np.mean(np.abs(levels))),
    }


def classifier_figures(explainer: Explainer, clips: list[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """How often it is right on clips and on reconstructions, and how often the two agree."""
    found = []
    for audio, lengths, real in batches(explainer, clips):
        sounds = reconstruct(explainer.model, audio, lengths)
        both = [np.asarray(classify(explainer.model, a, lengths)).argmax(-1)[:real] for a in (audio, sounds)]
        found.append(np.stack(both))
    own, reconstructed = np.concatenate(found, 1)
    return {
        "test clips": len(own),
        "accuracy": float((own == labels).mean()),
        "accuracy on reconstruction": float((reconstructed == labels).mean()),
        "agreement on reconstruction": float((own == reconstructed).mean()),
    }


def gap_figures(explainer: Explainer, clips: list[np.ndarray]) -> Iterator[dict[str, Any]]:
    """Completeness gap of default Integrated Gradients, by number of points."""
    for steps in STEPS:
        gaps = []
        for audio, lengths, real in batches(explainer, clips):
            encoded = encode(explainer.model, audio, lengths)
            path = attributions(explainer.model, encoded, dataclasses.replace(Settings(), steps=steps))
            gaps.append(np.abs(np.asarray(path.gap / (path.value - path.baseline_value)))[:real])
        gap = np.concatenate(gaps)
        yield {
            "points": steps,
            "median gap": f"{np.median(gap):.2%}",
            "clips above 5 %": f"{(gap > 0.05).mean():.1%}",
        }


def fidelity_figures(explainer: Explainer, files: list[LabelledClip], arguments: argparse.Namespace) -> list[dict]:
    """Clips that keep the prediction, and that lose it, as latents / through the audio."""
    plan = Plan(tuple(arguments.rankings.split(",")), tuple(arguments.fillers.split(",")), SHARES, seeds=1)
    rows = rows_of(summarise(evaluate(explainer, files, plan, quiet=False)), SHARES)
    return [dict(zip(header_of(SHARES), row, strict=True)) for row in rows]


def markdown(figures: dict[str, Any]) -> str:
    """The figures as the tables of a model card."""
    return "\n\n".join(
        [
            table(figures["codec"]),
            table([figures["classifier"]]),
            f"Integrated Gradients of {GAP_CLIPS} of these clips:",
            table(figures["gap"]),
            f"Explanations of {figures['clips']} of these clips: share whose prediction stays when the top share is "
            "kept, and\nchanges when it is deleted, as latents / through the audio.",
            table(figures["fidelity"]),
        ]
    )


def write_figures(path: str, text: str) -> None:
    """Put figures between the two marks of a document."""
    document = pathlib.Path(path)
    before, rest = document.read_text(encoding="utf-8").split(START)
    document.write_text(f"{before}{START}{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("bundled", __doc__, timed=False)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--limit", type=int, default=300, help="clips for the explanations' figures (default: 300)")
    parser.add_argument("--fillers", default="zero,noise")
    parser.add_argument("--rankings", default=RANKINGS)
    parser.add_argument("--card", metavar="FILE", help="model card to put the figures into")
    arguments = parser.parse_args(argv)
    use_compilation_cache()
    explainer = load_explainer(arguments.model)
    files = clips_of(explainer, arguments.data, "test", BATCH if arguments.small else None)
    some = choose(files, 4 if arguments.small else arguments.limit)
    clips = read_clips([file.path for file in files], explainer.sample_rate, quiet=True)
    labels = np.array([explainer.labels.index(file.label) for file in files])
    model = explainer.model
    figures: dict[str, Any] = {"clips": len(some)}
    codecs = {"continuous": model}
    if bandwidths := model.codec.config.bandwidths:
        codecs[f"{bandwidths[-1]:g} kbps"] = model._replace(codec=model.codec.at(bandwidths[-1]))
    parts = {
        "codec": lambda: [
            {"codec's reconstruction": name} | codec_figures(explainer, one, clips) for name, one in codecs.items()
        ],
        "classifier": lambda: classifier_figures(explainer, clips, labels),
        "gap": lambda: list(gap_figures(explainer, clips[:GAP_CLIPS])),
        "fidelity": functools.partial(fidelity_figures, explainer, some, arguments),
    }
    for name, part in parts.items():
        figures[name] = part()
        show(name, figures[name] if isinstance(figures[name], list) else [figures[name]])
    report(arguments, figures)
    if arguments.card:
        write_figures(arguments.card, markdown(figures))


if __name__ == "__main__":
    main()
