"""How many points does Integrated Gradients need, by which rule, and what do its rivals cost?

    python -m benchmarks.attribution --data FOLDER [--model mini-speech-commands] [--clips 16] [--json FILE]
    python -m benchmarks.attribution --random          random weights of the published size, random latents

FOLDER is the labelled folder that the explainer was trained on; its test split is used. What counts is the ranking:
each rule is compared with 2,000 graded midpoints by the overlap of the top 20 % of the elements and by Spearman's rank
correlation, the gap beside them. Besides the package's rules two candidates are measured that did not earn a place:
Gauss-Legendre in a = t^2, and cells fitted to the movement of the gradient on calibration clips.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax import attribution as methods
from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.integrated_gradients import path_gradient
from audex_jax.attribution.quadrature import RULES, nodes_and_weights
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from benchmarks.measure import in_a_process_of_its_own, in_turns, report, show, times_faster
from benchmarks.memory import peak_memory

RULE = "graded-middle"  # that of explanations
POINTS = (8, 12, 16, 24, 32, 50)
SHARE = 0.2
CALIBRATION = 4
CHUNK = 8
ADDS_UP = ("IG, 16 points", "GradientSHAP", "DeepLIFT", "gradient x input")  # the others do not claim to


def subject(arguments: argparse.Namespace) -> tuple:
    """Classifier, latents `[b, t, d]`, valid frames `[b, t]` and baselines by name, `[t, d]` each."""
    count = arguments.clips + CALIBRATION
    if arguments.random:
        classifier = LatentTransformer(TransformerConfig(dim=128, classes=35, frames=75), rngs=nnx.Rngs(0))
        latents = 2 * jax.random.normal(jax.random.key(1), (count + 1, 75, 128))
        return classifier, latents[:-1], jnp.ones((count, 75), bool), {"zero": 0 * latents[0], "noise": latents[-1]}
    from audex_jax.data.clips import read_clips
    from audex_jax.data.folder import read_folder
    from audex_jax.explain.explainer import load_explainer
    from audex_jax.explain.step import Settings, filler_latent, latent_of, valid_frames

    explainer = load_explainer(arguments.model)
    clips = read_folder(arguments.data, explainer.labels).split("test")
    chosen = [clips[i] for i in np.random.default_rng(0).permutation(len(clips))[:count]]
    sounds = read_clips([clip.path for clip in chosen], explainer.sample_rate)
    audio, lengths = explainer.pad([sound[: explainer.clip_samples] for sound in sounds])
    codec = explainer.model.codec
    encode = jax.jit(latent_of, static_argnames="bandwidth")
    latents = jnp.concatenate(
        [encode(codec, audio[i : i + 8], lengths[i : i + 8], explainer.bandwidth) for i in range(0, len(audio), 8)]
    )
    valid = valid_frames(jnp.asarray(lengths), latents.shape[1], codec.config.hop)
    fillers = {
        name: filler_latent(explainer.model, latents.shape[1], Settings(filler=name)) for name in ("zero", "noise")
    }
    return explainer.model.classifier, latents, valid, fillers


@jax.jit
def predictions(classifier, latents, valid):
    return jax.vmap(classifier)(latents, valid).argmax(-1)


@functools.partial(jax.jit, static_argnames="chunk")
def at_nodes(classifier, latents, valid, targets, baseline, nodes, weights, chunk=CHUNK):
    """Attributions `[b, t, d]` by any nodes and weights."""

    def one(latent, frames, target):
        gradient = path_gradient(lambda z: classifier(z, frames)[target], latent, baseline)
        return (latent - baseline) * weighted_sum(gradient, nodes, weights, chunk)

    return jax.vmap(one)(latents, valid, targets)


@jax.jit
def differences(classifier, latents, valid, targets, baseline):
    """F(z) - F(z0) of each clip."""

    def one(latent, frames, target):
        return classifier(latent, frames)[target] - classifier(baseline, frames)[target]

    return jax.vmap(one)(latents, valid, targets)


@jax.jit
def movement(classifier, latents, valid, targets, baseline):
    """How far the gradient moves in each of 64 cells of the path, mean over clips."""

    def one(latent, frames, target):
        gradient = path_gradient(lambda z: classifier(z, frames)[target], latent, baseline)
        gradients = jax.lax.map(gradient, jnp.linspace(0, 1, 65), batch_size=CHUNK) * (latent - baseline)
        return jnp.abs(jnp.diff(gradients, axis=0)).sum((1, 2))

    return jax.vmap(one)(latents, valid, targets).mean(0)


def cells(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def candidates(moved: np.ndarray) -> dict[str, Callable]:
    """Rules that were tried and left out of the package, by name."""
    density = np.concatenate([[0], np.cumsum(np.sqrt(moved))])  # cell error is width times movement

    def fitted(n: int):
        return cells(np.interp(np.linspace(0, density[-1], n + 1), density, np.linspace(0, 1, len(density))))

    def squared(n: int):
        nodes, weights = nodes_and_weights("gauss-legendre", n)
        return nodes**2, 2 * nodes * weights

    return {
        "gauss-legendre, t^2": squared,
        "fitted cells": fitted,
    }


def overlaps(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Share of the top elements that are in the reference's top, `[b]`."""
    count = round(SHARE * exact[0].size)
    tops = [np.argpartition(-a.reshape(len(a), -1), count, axis=1)[:, :count] for a in (found, exact)]
    return np.array([len(np.intersect1d(one, other)) / count for one, other in zip(*tops, strict=True)])


def spearman(found: np.ndarray, exact: np.ndarray) -> float:
    ranks = [a.reshape(len(a), -1).argsort(1).argsort(1) for a in (found, exact)]
    return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in zip(*ranks, strict=True)]))


def quality(found: np.ndarray, exact: np.ndarray, difference: np.ndarray) -> dict:
    overlap = overlaps(found, exact)
    gap = np.abs(found.sum((1, 2)) - difference) / np.abs(difference)
    return {
        "overlap": float(overlap.mean()),
        "overlap_least": float(overlap.min()),
        "spearman": spearman(found, exact),
        "gap_median": float(np.median(gap)),
        "gap_largest": float(gap.max()),
    }


def seconds(run: Callable, *inputs) -> float:
    """Median of three runs after the one that compiles."""
    return in_turns({"run": functools.partial(run, *inputs)}, 3)["run"].median


def explain_with(**options) -> Callable:
    """The package's own call, compiled, for a batch of clips."""

    @jax.jit
    def explain(classifier, latents, valid, targets, baseline):
        def one(latent, frames, target):
            return methods.integrated_gradients(lambda z: classifier(z, frames)[target], latent, baseline, **options)

        return jax.vmap(one)(latents, valid, targets)

    return explain


def rivals(frames: int, dims: int) -> dict[str, Callable]:
    """Every other method by name, as `(f, latent, baseline, key) -> attribution`."""
    segments = methods.unit_map("segment", frames, dims, -(-frames // 10))
    return {
        "random": lambda f, z, z0, key: methods.random_attribution(f, z, z0, key=key),
        "magnitude": lambda f, z, z0, key: methods.magnitude(f, z, z0),
        "saliency": lambda f, z, z0, key: methods.saliency(f, z, z0),
        "gradient x input": lambda f, z, z0, key: methods.gradient_x_input(f, z, z0),
        "SmoothGrad, 16": lambda f, z, z0, key: methods.smooth_grad(f, z, z0, key=key),
        "GradientSHAP, 16": lambda f, z, z0, key: methods.gradient_shap(f, z, z0[None], key=key),
        "DeepLIFT": lambda f, z, z0, key: methods.deeplift(f, z, z0).attribution,
        "occlusion, frames": lambda f, z, z0, key: methods.occlusion(
            f, z, z0, units=methods.unit_map("frame", frames, dims)
        ),
        "occlusion, dimensions": lambda f, z, z0, key: methods.occlusion(
            f, z, z0, units=methods.unit_map("dimension", frames, dims)
        ),
        "Shapley, 10 segments, 16": lambda f, z, z0, key: (
            methods.shapley_sampling(f, z, z0, units=segments, key=key, permutations=16).attribution
        ),
    }


def attribute_with(method: Callable) -> Callable:
    @jax.jit
    def explain(classifier, latents, valid, targets, baseline):
        keys = jax.random.split(jax.random.key(0), len(latents))

        def one(latent, frames, target, key):
            return method(lambda z: classifier(z, frames)[target], latent, baseline, key)

        return jax.vmap(one)(latents, valid, targets, keys)

    return explain


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attribution",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="labelled folder whose test split is explained")
    parser.add_argument("--model", default="mini-speech-commands", help="a bundled explainer or a bundle's folder")
    parser.add_argument("--random", action="store_true", help="random weights and latents instead of a trained model")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--reference", type=int, default=2000, help="points of the reference")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.random and not arguments.data:
        parser.error("give --data FOLDER with real clips, or --random")
    if arguments.memory:
        print(json.dumps(memory_of(*subject(arguments))))
        return
    report(arguments, measure(arguments, *subject(arguments)))


def measure(arguments: argparse.Namespace, classifier, latents, valid, baselines) -> dict:
    """Print every table; all figures."""
    targets = predictions(classifier, latents, valid)
    calibration = (latents[:CALIBRATION], valid[:CALIBRATION], targets[:CALIBRATION])
    latents, valid, targets = latents[CALIBRATION:], valid[CALIBRATION:], targets[CALIBRATION:]
    frames, dims = latents.shape[1:]
    figures: dict = {"clips": len(latents), "frames": frames, "dims": dims, "device": str(jax.devices()[0])}
    print(f"{len(latents)} clips, latent {frames} x {dims}, {jax.devices()[0]}")
    inputs = ()
    for name, baseline in baselines.items():
        progress(f"baseline {name}: reference")
        inputs = (classifier, latents, valid, targets, baseline)
        exact = np.asarray(at_nodes(*inputs, *nodes_and_weights(RULE, arguments.reference)))
        difference = np.asarray(differences(*inputs))
        moved = np.asarray(movement(classifier, *calibration, baseline))
        rules = measure_rules(inputs, candidates(moved), exact, difference)
        show(f"baseline {name}: rule and points, against {arguments.reference} graded midpoints", rules)
        shares = moved.reshape(8, -1).sum(1) / moved.sum()
        print("movement of the gradient by eighths of the path:", " ".join(f"{share:.2f}" for share in shares))
        automatic = measure_automatic(inputs, rules, exact, difference)
        show(f"baseline {name}: automatic steps against the cheapest fixed number that reaches 0.99", automatic)
        others = measure_rivals(inputs, exact, difference)
        show(f"baseline {name}: rivals", others)
        figures[name] = {"rules": rules, "automatic": automatic, "rivals": others, "movement": shares.tolist()}
    figures["cost"] = measure_cost(inputs)
    show(f"cost of {len(latents)} clips at once, {RULE}", figures["cost"])
    progress("memory")
    words = ["--random"] if arguments.random else ["--data", arguments.data, "--model", arguments.model]
    figures["memory"] = in_a_process_of_its_own("benchmarks.attribution", *words, "--clips", "2", "--memory")
    show("resident memory of 2 clips, MB, in a process of its own", figures["memory"])
    return figures


def memory_of(classifier, latents, valid, baselines) -> list[dict]:
    """Resident memory of attributing two clips at once, all that is compiled compiled beforehand."""
    latents, valid = latents[:2], valid[:2]
    targets = predictions(classifier, latents, valid)
    runs = {}
    for points in (16, 2000):
        explain = explain_with(rule=RULE, steps=points, chunk=CHUNK)
        runs[points] = functools.partial(explain, classifier, latents, valid, targets, baselines["zero"])
        jax.block_until_ready(runs[points]())
    return [
        {"points": points} | peak_memory(lambda run=run: jax.block_until_ready(run())) for points, run in runs.items()
    ]


def progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def measure_rules(
    inputs: tuple, candidates: dict[str, Callable], exact: np.ndarray, difference: np.ndarray
) -> list[dict]:
    rows = []
    for rule, nodes in ({rule: functools.partial(nodes_and_weights, rule) for rule in RULES} | candidates).items():
        progress(rule)
        for points in POINTS:
            found = np.asarray(at_nodes(*inputs, *nodes(points)))
            rows.append({"rule": rule, "points": points} | quality(found, exact, difference))
    return rows


def measure_automatic(inputs: tuple, rules: list[dict], exact: np.ndarray, difference: np.ndarray) -> list[dict]:
    progress("automatic steps")
    explain = explain_with(rule=RULE, steps="auto", chunk=CHUNK)
    result = explain(*inputs)
    reached = quality(np.asarray(result.attribution), exact, difference)
    rows = []
    for wanted, field in (("mean", "overlap"), ("every clip", "overlap_least")):
        enough = [row["points"] for row in rules if row["rule"] == RULE and row[field] >= 0.99]
        ratio = float("nan")
        if enough:
            fixed = explain_with(rule=RULE, steps=enough[0], chunk=CHUNK)
            runs = {"auto": functools.partial(explain, *inputs), "fixed": functools.partial(fixed, *inputs)}
            found = in_turns(runs, 5)
            ratio = times_faster(found["fixed"], found["auto"])
        rows.append(
            {
                "0.99 in": wanted,
                "fixed points": enough[0] if enough else f"over {POINTS[-1]}",
                "auto points, mean": float(result.points.mean()),
                "auto points, most": int(result.points.max()),
                "auto overlap": reached["overlap"],
                "auto overlap, least": reached["overlap_least"],
                "auto / fixed time": ratio,
            }
        )
    return rows


def measure_rivals(inputs: tuple, exact: np.ndarray, difference: np.ndarray) -> list[dict]:
    latents = inputs[1]
    rows = []

    def add(label: str, run: Callable, inputs: tuple) -> None:
        progress(label)
        found = np.asarray(run(*inputs))
        gap = np.median(np.abs(found.sum((1, 2)) - difference) / np.abs(difference))
        rows.append(
            {
                "method": label,
                "overlap with IG": float(overlaps(found, exact).mean()),
                "spearman": spearman(found, exact),
                "gap_median": float(gap) if label.startswith(ADDS_UP) else float("nan"),
                "ms a clip": 1e3 * seconds(run, *inputs) / len(latents),
            }
        )

    explain = explain_with(rule=RULE, steps=16, chunk=CHUNK)
    add("IG, 16 points", lambda *inputs: explain(*inputs).attribution, inputs)
    null = (methods.shuffled_weights(inputs[0], jax.random.key(0)), *inputs[1:])
    add("IG, 16, shuffled weights", lambda *inputs: explain(*inputs).attribution, null)
    for label, method in rivals(*latents.shape[1:]).items():
        add(label, attribute_with(method), inputs)
    return rows


def measure_cost(inputs: tuple) -> list[dict]:
    progress("time and memory")
    rows = []
    for points, chunk in [(n, CHUNK) for n in (*POINTS, 2000)] + [(2000, 1), (2000, 32)]:
        run = explain_with(steps=points, chunk=chunk)
        memory = run.lower(*inputs).compile().memory_analysis()
        rows.append(
            {
                "points": points,
                "chunk": chunk,
                "ms a clip": 1e3 * seconds(run, *inputs) / len(inputs[1]) if points < 2000 else float("nan"),
                "working memory, MiB": memory.temp_size_in_bytes / 2**20,
            }
        )
    return rows


if __name__ == "__main__":
    main()
