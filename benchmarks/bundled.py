"""Does a bundled explainer hold what its card says, its explanations judged as latents and as audio?

    python -m benchmarks.bundled DATA [--model mini-speech-commands] [--limit 300] [--json FILE] [--card FILE]

DATA is the labelled folder that the explainer was trained on; its test split is used. Figures: STOI and level of the
codec's reconstruction, accuracy and agreement of the classifier, completeness gap against the number of points, and
agreement when a share of the latent is kept, change of prediction when it is deleted, for every ranking.
"""

import argparse
import functools
import json
import time

import jax
import numpy as np

from audex_jax.attribution import integrated_gradients
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip, read_folder
from audex_jax.evaluation import Plan, evaluate
from audex_jax.evaluation.run import choose
from audex_jax.evaluation.summary import curves_of
from audex_jax.explain.explainer import Explainer, load_explainer
from audex_jax.explain.step import Settings, filler_latent, latent_of, output_gain, sounds_of, valid_frames
from audex_jax.io.audio import level_db
from benchmarks.listening import stoi_of

RANKINGS = ("refined", "weighted", "absolute", "signed", "magnitude", "random")
SHARES = (0.1, 0.2, 0.417)
STEPS = (16, 64, 256, 1024)
GAP_CLIPS = 32  # a thousand points for each clip take long
BATCH = 16


@functools.partial(jax.jit, static_argnames="bandwidth")
def reconstruct(codec, audio, lengths, bandwidth):
    decoded = sounds_of(codec, latent_of(codec, audio, lengths, bandwidth), lengths, audio.shape[1])
    return decoded * output_gain(codec, decoded, audio, lengths)


@functools.partial(jax.jit, static_argnames="bandwidth")
def classify_audio(weights, audio, lengths, bandwidth):
    latent = latent_of(weights.codec, audio, lengths, bandwidth)
    valid = valid_frames(lengths, latent.shape[1], weights.codec.config.hop)
    return latent, valid, jax.vmap(weights.classifier)(latent, valid)


@functools.partial(jax.jit, static_argnames="settings")
def attribute(weights, latent, valid, target, settings):
    filler = filler_latent(weights, latent.shape[1], settings)

    def one(z, v, c):
        f = lambda x: weights.classifier(x, v)[c]  # noqa: E731
        return integrated_gradients(f, z, filler, rule=settings.rule, steps=settings.steps, chunk=settings.chunk)

    return jax.vmap(one)(latent, valid, target)


def batches(explainer: Explainer, clips: list[np.ndarray]):
    """Batches of equal size `(audio, lengths, how many of them are real)`."""
    for start in range(0, len(clips), BATCH):
        chosen = [clip[: explainer.clip_samples] for clip in clips[start : start + BATCH]]
        yield *explainer.pad(chosen + chosen[:1] * (BATCH - len(chosen))), len(chosen)


def codec_figures(explainer: Explainer, clips: list[np.ndarray], bandwidth: float | None) -> dict:
    """STOI (of the clips with enough speech for it) and level of the reconstruction against the clip."""
    scores, levels = [], []
    for audio, lengths, real in batches(explainer, clips):
        sounds = np.asarray(reconstruct(explainer.model.codec, audio, lengths, bandwidth)).mean(-1)
        for row in range(real):
            own, made = audio[row, : lengths[row]].mean(-1), sounds[row, : lengths[row]]
            levels.append(level_db(made) - level_db(own))
            scores.append(stoi_of(own, made, explainer.sample_rate))
    return {
        "stoi": float(np.nanmean(scores)),
        "stoi_undefined": int(np.isnan(scores).sum()),
        "level_db": float(np.mean(levels)),
        "level_abs_db": float(np.mean(np.abs(levels))),
    }


def classifier_figures(explainer: Explainer, clips: list[np.ndarray], labels: np.ndarray) -> dict:
    original, decoded = [], []
    codec, bandwidth = explainer.model.codec, explainer.bandwidth
    for audio, lengths, real in batches(explainer, clips):
        original.append(np.asarray(classify_audio(explainer.model, audio, lengths, bandwidth)[2])[:real])
        sounds = reconstruct(codec, audio, lengths, bandwidth)
        decoded.append(np.asarray(classify_audio(explainer.model, sounds, lengths, bandwidth)[2])[:real])
    a, b = (np.concatenate(x).argmax(-1) for x in (original, decoded))
    return {
        "clips": len(a),
        "accuracy": float((a == labels).mean()),
        "accuracy_on_reconstruction": float((b == labels).mean()),
        "agreement_on_reconstruction": float((a == b).mean()),
    }


def gap_figures(explainer: Explainer, clips: list[np.ndarray], default: Settings) -> list[dict]:
    rows = []
    assert default.steps != "auto"
    for steps in sorted({default.steps, *STEPS}):
        settings = Settings(steps=steps, filler=default.filler, rule=default.rule, chunk=default.chunk)
        found = []
        for audio, lengths, real in batches(explainer, clips):
            latent, valid, logits = classify_audio(explainer.model, audio, lengths, explainer.bandwidth)
            path = attribute(explainer.model, latent, valid, logits.argmax(-1), settings)
            found.append(np.abs(np.asarray(path.gap / (path.value - path.baseline_value)))[:real])
        gaps = np.concatenate(found)
        rows.append({"steps": steps, "median": float(np.median(gaps)), "above_5_percent": float((gaps > 0.05).mean())})
    return rows


def fidelity_figures(explainer: Explainer, files: list[LabelledClip], plan: Plan) -> list[dict]:
    """Agreement when kept and change when deleted, as latent and through the audio, per method, filler and share."""
    found = []
    for curves in curves_of(evaluate(explainer, files, plan, quiet=False)):
        agreement = curves.agrees.mean(0)
        for share, (kept, deleted) in zip(plan.grid, agreement, strict=True):
            if 0 < share < 1:
                row = {"filler": curves.filler, "ranking": curves.method, "share": share}
                row |= {"keep_latent": kept[0], "keep_audio": kept[1]}
                found.append(row | {"delete_latent": 1 - deleted[0], "delete_audio": 1 - deleted[1]})
    return found


def markdown(results: dict) -> str:
    """The figures as the tables of a model card."""
    classifier, lines = results["classifier"], []
    lines += [
        "| codec's reconstruction | STOI | clips without enough speech for STOI | level, dB | absolute, dB |",
        "|---|---|---|---|---|",
    ]
    for name, row in results.items():
        if name.startswith("codec, "):
            figures = (
                f"{row['stoi']:.3f} | {row['stoi_undefined']} | {row['level_db']:+.2f} | {row['level_abs_db']:.2f}"
            )
            lines.append(f"| {name.removeprefix('codec, ')} | {figures} |")
    lines += ["", f"| classifier, {classifier['clips']} test clips | |", "|---|---|"]
    for name in ("accuracy", "accuracy_on_reconstruction", "agreement_on_reconstruction"):
        lines.append(f"| {name.replace('_', ' ')} | {classifier[name]:.3f} |")
    clips = min(GAP_CLIPS, results["clips"])
    lines += ["", f"| points, {clips} clips | median gap | clips above 5 % |", "|---|---|---|"]
    lines += [f"| {r['steps']} | {r['median']:.2%} | {r['above_5_percent']:.1%} |" for r in results["gap"]]
    lines += [
        "",
        f"Explanations of {results['clips']} test clips: share whose prediction stays when the top share is kept, and",
        "changes when it is deleted, read off the latent / off the audio.",
        "",
        "| filler | ranking | share | kept | deleted |",
        "|---|---|---|---|---|",
    ]
    for r in results["fidelity"]:
        kept, deleted = (f"{r[f'{mode}_latent']:.3f} / {r[f'{mode}_audio']:.3f}" for mode in ("keep", "delete"))
        lines.append(f"| {r['filler']} | {r['ranking']} | {r['share']:.1%} | {kept} | {deleted} |")
    return "\n".join(lines)


def write_figures(path: str, text: str) -> None:
    """Put figures between the two marks of a document, such as a model card."""
    start, end = "<!-- figures -->\n", "<!-- end of figures -->"
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(start)
    after = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{start}{text}\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--limit", type=int, default=300, help="clips for the explanations' figures (default: 300)")
    parser.add_argument("--fillers", default="zero,noise")
    parser.add_argument("--rankings", default=",".join(RANKINGS))
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--card", metavar="FILE", help="model card to put the figures into")
    arguments = parser.parse_args()
    use_compilation_cache()
    explainer = load_explainer(arguments.model)
    test = read_folder(arguments.data, explainer.labels).split("test")
    clips = read_clips([c.path for c in test], explainer.sample_rate, quiet=True)
    labels = np.array([explainer.labels.index(c.label) for c in test])
    some = choose(test, arguments.limit)
    config, results, started = explainer.model.codec.config, {}, time.monotonic()

    for name, bandwidth in (("continuous", None), (f"{config.bandwidths[-1]:g} kbps", config.bandwidths[-1])):
        results[f"codec, {name}"] = codec_figures(explainer, clips, bandwidth)
        print(name, results[f"codec, {name}"], flush=True)
    results["classifier"] = classifier_figures(explainer, clips, labels)
    print(results["classifier"], flush=True)
    results["gap"] = gap_figures(explainer, [clips[test.index(c)] for c in some[:GAP_CLIPS]], Settings())
    for row in results["gap"]:
        print(row, flush=True)
    shares = tuple(float(s) for s in arguments.shares.split(","))
    plan = Plan(tuple(arguments.rankings.split(",")), tuple(arguments.fillers.split(",")), shares, seeds=1)
    results["fidelity"] = fidelity_figures(explainer, some, plan)
    for row in results["fidelity"]:
        print("  ".join(f"{v:.3f}" if isinstance(v, float) else f"{v:<9}" for v in row.values()), flush=True)
    results["clips"] = len(some)
    results["seconds"] = time.monotonic() - started
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    if arguments.card:
        write_figures(arguments.card, markdown(results))


if __name__ == "__main__":
    main()
