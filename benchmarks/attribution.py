"""How many points does Integrated Gradients need, by which rule, and how do the other methods compare?

    python -m benchmarks.attribution --data FOLDER [--model mini-speech-commands] [--clips 16] [--json FILE]
    python -m benchmarks.attribution --random          random weights of the published size, noise for clips

FOLDER is the labelled folder that the explainer was trained on; its test split is used. What counts is the ranking:
each rule is compared with `--reference` graded midpoints by the overlap of the top fifth of the elements and by
Spearman's rank correlation; the completeness gap and the time stand beside them. `benchmarks.attribution_speed` asks
how fast Captum is.
"""

import argparse
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from audex_jax.bundles import load_explainer
from audex_jax.core.protocols import PathAttribution
from audex_jax.core.registry import METHODS
from audex_jax.core.settings import RULES, Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import read_folder
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, encode_and_classify, filler_latent
from audex_jax.explain.step import attribute
from benchmarks.measure import in_turns, parser_for, report, show
from benchmarks.subject import clips_of, explainer_of

POINTS = (8, 12, 16, 24, 32, 50)
FEWER = (4, 8, 12, 16, 24, 32)  # points to try for `points_needed`
CHUNKS = (1, 8, 32)
SHARE = 0.2  # of the elements whose ranking is compared
ENOUGH = 0.99  # overlap at which a ranking counts as that of the reference
CAPTUM = Settings(rule="gauss-legendre", steps=50)

encode = jax.jit(encode_and_classify)


@functools.partial(jax.jit, static_argnames="settings")
def attributions(model: Model, clips: EncodedClip, settings: Settings) -> PathAttribution:
    """Attribution of each clip's predicted class from the filler of the settings, `[b, ...]`."""
    baseline = filler_latent(model, clips.latent.shape[1], settings)
    return jax.vmap(lambda clip: attribute(model, clip, settings, baseline))(clips)


def overlaps(found: Any, exact: Any) -> np.ndarray:
    """Share of the top elements that are in the reference's top, `[b]`."""
    count = round(SHARE * np.asarray(exact)[0].size)
    tops = [np.argpartition(-np.asarray(a).reshape(len(a), -1), count, axis=1)[:, :count] for a in (found, exact)]
    return np.array([len(np.intersect1d(one, other)) / count for one, other in zip(*tops, strict=True)])


def spearman(found: Any, exact: Any) -> float:
    """Rank correlation of all elements, mean over clips."""
    ranks = [np.asarray(a).reshape(len(a), -1).argsort(1).argsort(1) for a in (found, exact)]
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in zip(*ranks, strict=True)]))


def points_needed(explainer: Explainer, audio: np.ndarray, reference: int = 500) -> dict[str, Any]:
    """Rule and fewest points that rank like the exact path, the overlap of the top fifth being `ENOUGH` or more.

    Captum's own rule and number where none of `FEWER` suffices.

    Args:
        explainer: of the clips.
        audio: clips of full length, `[b, n, c]`.
        reference: points of Gauss-Legendre that count as exact.

    Returns:
        `rule` and `steps`, as in `Settings`.
    """
    clips = encode(explainer.model, audio, np.full(len(audio), audio.shape[1], np.int32))
    exact = attributions(explainer.model, clips, dataclasses.replace(CAPTUM, steps=reference)).attribution
    for points in FEWER:
        settings = Settings(rule="riemann-middle", steps=points)
        if overlaps(attributions(explainer.model, clips, settings).attribution, exact).mean() >= ENOUGH:
            return {"rule": settings.rule, "steps": points}
    return {"rule": CAPTUM.rule, "steps": CAPTUM.steps}


def row_of(model: Model, clips: EncodedClip, settings: Settings, exact: Any, repeats: int) -> dict[str, Any]:
    """How well one method or rule ranks, and how long it takes."""
    run = functools.partial(attributions, model, clips, settings)
    path = run()
    overlap = overlaps(path.attribution, exact)
    gap = np.abs(np.asarray(path.gap)) / np.abs(np.asarray(path.value - path.baseline_value))
    return {
        "overlap": float(overlap.mean()),
        "overlap, least": float(overlap.min()),
        "Spearman": spearman(path.attribution, exact),
        "gap, median": float(np.median(gap)),
        "evaluations": float(np.mean(np.asarray(path.points))),
        "ms a clip": 1e3 * in_turns({"run": run}, repeats)["run"].median / len(clips.latent),
    }


def cost_of(model: Model, clips: EncodedClip, chunk: int) -> dict[str, Any]:
    """Working memory of the compiled program, whose number of points changes nothing."""
    settings = Settings(chunk=chunk)
    memory: Any = attributions.lower(model, clips, settings).compile().memory_analysis()
    return {"chunk": chunk, "clips": len(clips.latent), "working memory, MiB": memory.temp_size_in_bytes / 2**20}


def measure(explainer: Explainer, clips: EncodedClip, arguments: argparse.Namespace) -> Mapping[str, Any]:
    """All tables, shown and returned."""
    model, figures = explainer.model, {}
    for filler in arguments.fillers.split(","):
        default = Settings(filler=filler)
        exact = attributions(model, clips, dataclasses.replace(default, steps=arguments.reference)).attribution
        rate = functools.partial(row_of, model, clips, exact=exact, repeats=arguments.repeats)
        rules = [
            {"rule": rule, "points": points} | rate(dataclasses.replace(default, rule=rule, steps=points))
            for rule in arguments.rules
            for points in arguments.points
        ]
        automatic = {"rule": default.rule, "points": "auto"} | rate(dataclasses.replace(default, steps="auto"))
        show(f"baseline {filler}: rule and points, against {arguments.reference} points", [*rules, automatic])
        methods = [{"method": name} | rate(dataclasses.replace(default, method=name)) for name in arguments.methods]
        show(f"baseline {filler}: methods, against Integrated Gradients", methods)
        figures[filler] = {"rules": [*rules, automatic], "methods": methods}
    figures["cost"] = [cost_of(model, clips, chunk) for chunk in CHUNKS]
    show("cost", figures["cost"])
    return figures


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("attribution", __doc__)
    parser.add_argument("--data", metavar="FOLDER", help="labelled folder whose test split is explained")
    parser.add_argument("--model", default="mini-speech-commands", help="a bundled explainer or a bundle's folder")
    parser.add_argument("--random", action="store_true", help="random weights and noise instead of a trained model")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--fillers", default="zero,noise", help="baselines of the path")
    parser.add_argument("--reference", type=int, default=2000, help="points of the reference")
    arguments = parser.parse_args(argv)
    arguments.points, arguments.rules, arguments.methods = POINTS, RULES, METHODS.names()
    if arguments.small:
        arguments.random, arguments.clips, arguments.fillers, arguments.reference = True, 2, "zero", 50
        arguments.points, arguments.rules, arguments.methods = POINTS[:1], RULES[:1], (Settings.method, "random")
    if arguments.random:
        explainer = explainer_of("tiny" if arguments.small else "published")
        audio, lengths = explainer.pad(list(clips_of(explainer, arguments.clips)))
    elif arguments.data:
        explainer = load_explainer(arguments.model)
        test = read_folder(arguments.data, explainer.labels).split("test")
        chosen = [test[i] for i in np.random.default_rng(0).permutation(len(test))[: arguments.clips]]
        recordings = read_clips([clip.path for clip in chosen], explainer.sample_rate)
        audio, lengths = explainer.pad([recording[: explainer.clip_samples] for recording in recordings])
    else:
        parser.error("give --data FOLDER with real clips, or --random")
    clips = encode(explainer.model, audio, lengths)
    report(arguments, {"clips": len(audio), **measure(explainer, clips, arguments)})


if __name__ == "__main__":
    main()
