"""Which elements should an explanation keep? Fidelity of every ranking, as latents and through the audio.

    python -m benchmarks.fidelity DATA [--model mini-speech-commands] [--limit 1015] [--out DIR] [--results FILE]

DATA holds the labelled folder `speech_commands`, or is one itself; its test split is used. Writes what `audex evaluate`
writes to --out, unless it is there already; evaluates more rankings on fewer clips, adds sanity and localization, and
puts the tables into --results, between its marks: the text around them stays. With --second, another explainer of the
same labels (`audex train ... --seed 7`), that one classifies the sounds, too; with --random-labels, one trained on
random labels (`audex train ... --shuffle-labels`), the attributions of the two are compared. --tasks fsdd=DIR,tess=DIR
evaluates explainers of other folders in DATA.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from audex_jax.bundles import digest, load_explainer
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.data.clips import read_clips
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.evaluation import localization, sanity
from audex_jax.evaluation.folder import clips_of, evaluate_folder
from audex_jax.evaluation.outputs import header_of, rows_of, write_json
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.transfer import transfer
from audex_jax.explain.explainer import Explainer
from benchmarks.bundled import write_figures
from benchmarks.measure import parser_for, report, table

METHODS = "optimized-mask,signed,magnitude,random"
OTHERS = "optimized-mask,weighted,absolute,mixed,positive,frames,gradient-x-input,waveform-ig,spectrum-ig,audio-frames"
MAIN = ("optimized-mask", "weighted", "signed", "magnitude", "random")  # of other tasks, and for a second classifier
SHOWN = (0.1, 0.2, 0.417)
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.5, 0.7)
SANITY_CLIPS, LOCALIZATION_CLIPS = 16, 96
SHUFFLED_MODELS = 3  # whose areas are averaged
STATISTICS = ("insertion", "deletion", "insertion_minus_deletion", "comprehensiveness", "sufficiency")
FIELD = ("AI", "AD", "AD of SpeechBrain", "AG", "FF", "Fid-In")


def sanity_figures(explainer: Explainer, clips: list[np.ndarray], random_labels: Explainer | None) -> dict[str, Any]:
    """What is left of attributions when the classifier's layers are shuffled."""
    stages = sanity.cascade(explainer, clips, random_labels)
    fine, words = sanity.assess(stages)
    return {"stages": [dataclasses.asdict(stage) for stage in stages], "fine": fine, "words": words}


def localization_figures(explainer: Explainer, clips: list[np.ndarray], files: list) -> Iterator[dict[str, Any]]:
    """How well attributions find words at known times, for the trained classifier and for shuffled ones."""
    for kind in localization.KINDS:
        placed = localization.place_words(clips, files, explainer.labels, explainer.clip_samples, kind)
        of = functools.partial(localization.localization_auc, explainer, placed)
        found = {"trained": [of()], "shuffled": [of(shuffled=seed) for seed in range(SHUFFLED_MODELS)]}
        recognised = found["trained"][0][1]
        for classifier, runs in found.items():
            frames, syllables = np.nanmean([areas for areas, _ in runs], 0)
            yield {
                "kind": kind,
                "classifier": classifier,
                "clips": len(recognised),
                "recognised": float(np.mean([hits for _, hits in runs])),
                "AUC of frames": float(np.nanmean(frames)),
                "AUC of 0.25 s": float(np.nanmean(syllables)),
                "of recognised clips": float(np.nanmean(syllables[recognised])) if recognised.any() else None,
            }


def separation(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where intervals of 95 % of the first method and of another one in the latent do not overlap.

    Yields:
        For each other method, filler, mode, domain and level: the shares of clips that keep the prediction, or lose it,
        whether they are `apart`, and `limit`: what everything kept, or deleted, comes to.
    """
    curves = {(c["method"], c["filler"], c["mode"], c["domain"]): c for c in record["curves"]}
    first = record["plan"]["methods"][0]
    for (method, filler, mode, domain), other in curves.items():
        own = curves.get((first, filler, mode, domain))
        if method == first or own is None:
            continue
        own_share, other_share = (np.abs((mode == "delete") - np.array(c["agreement"])) for c in (own, other))
        for at, level in enumerate(own["level"]):
            if level in SHOWN:
                better, worse = (own, other) if mode == "keep" else (other, own)
                where = {"against": method, "filler": filler, "mode": mode, "domain": domain, "level": level}
                shares = {"own": own_share[at], "other": other_share[at], "limit": own_share[-1]}
                yield where | shares | {"apart": better["low"][at] > worse["high"][at]}


def separation_lines(record: dict[str, Any]) -> Iterator[str]:
    """The same in words, a line for each other method."""
    rows = list(separation(record))
    for method in dict.fromkeys(row["against"] for row in rows):
        some = [row for row in rows if row["against"] == method]
        words = [f"- {method}: {sum(row['apart'] for row in some)} of {len(some)} apart"]
        for row in some:
            if not row["apart"]:
                limit = f"; everything deleted: {row['limit']:.3f}" if row["mode"] == "delete" else ""
                words.append(
                    f"not {row['mode']} {row['level']:g} over {row['filler']}, {row['domain']} "
                    f"({row['own']:.3f} against {row['other']:.3f}{limit})"
                )
        yield "; ".join(words)


def evaluated(out: pathlib.Path, plan: Plan, explainer: Explainer, clips: int) -> dict[str, Any]:
    """The evaluation that stands in a folder.

    Raises:
        SystemExit: it is one of another plan or model, or of another number of clips.
    """
    path = out / "fidelity.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    asked = json.loads(json.dumps(dataclasses.asdict(plan))), digest(explainer)[:12], clips
    if (record["plan"], record["weights"], record["clips"] + record["silent"]) != asked:
        raise SystemExit(f"{path} was made with another plan, model or --limit; choose another --out")
    return record


def shares_table(record: dict[str, Any]) -> str:
    """Kept and deleted at the shown shares, latent / audio."""
    return table([dict(zip(header_of(SHOWN), row, strict=True)) for row in rows_of(record, SHOWN)])


def rounded(row: dict[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Some columns of a row, with three decimals."""
    chosen = {name: row[name] for name in names} if names else row
    return {name: f"{value:.3f}" if isinstance(value, float) else value for name, value in chosen.items()}


def comparison_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first method against the others, through the audio."""
    for c in record["comparisons"]:
        if c["domain"] == "audio" and c["level"] in SHOWN:
            advantage = f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]"
            yield {"against": c["against"], "filler": c["against_filler"], "mode": c["mode"], "share": c["level"]} | {
                "advantage": advantage,
                "p": f"{c['p']:.1g}",
            }


def metric_rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Areas and the field's metrics, through the audio."""
    for m in record["metrics"]:
        if m["domain"] == "audio":
            areas = {name.replace("_", " "): f"{m[name]['mean']:.3f}" for name in STATISTICS}
            yield {"method": m["method"], "filler": m["filler"], **areas, **{name: m[name]["0.2"] for name in FIELD}}


def markdown(record: dict[str, Any]) -> str:
    """The figures as the tables of a document."""
    ceiling, plan = record["ceiling"], record["plan"]
    agree, first = ceiling["agreement_on_reconstruction"], plan["methods"][0]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    names = ("layer", "spearman", "overlap", "magnitude")
    parts = [
        "## Speech Commands",
        f"Written by `python -m benchmarks.fidelity`. Model `{pathlib.Path(record['model']).name}` (weights "
        f"{record['weights']}), {record['clips']} clips of the {record['split']} split of {record['data']}, "
        f"{record['speakers']} speakers; {plan['rule']}, {plan['steps']} points, {plan['seeds']} seeds, "
        f"{plan['mask_steps']} mask steps; {record['seconds']:.0f} s on {record['device']}; {versions}.",
        f"Ceiling: accuracy {ceiling['accuracy']['mean']:.3f}, on the codec's reconstruction "
        f"{ceiling['accuracy_on_reconstruction']['mean']:.3f}; the two agree in {agree['mean']:.3f} "
        f"[{agree['low']:.3f}, {agree['high']:.3f}] of the clips, which is what audio can reach.",
        "Shares of clips, latent / audio. keep: what is kept alone gets the model's own prediction; delete: without it "
        "the prediction changes. Input methods edit the decoded sound, so they have no latent.",
        shares_table(record),
        f"Where the intervals of 95 % of {first} and another ranking do not overlap, of all fillers, modes, domains "
        "and shares of the table:",
        "\n".join(separation_lines(record)),
        f"### {first} against the others, through the audio",
        "Advantage with its paired 95 % interval over clips, and McNemar's exact p; positive favours the first.",
        table(list(comparison_rows(record))),
        f"### Other rankings, {record['others']['clips']} clips",
        shares_table(record["others"]),
        "### Areas and the field's metrics, through the audio",
        table(list(metric_rows(record))),
        "AI to Fid-In with 20 % kept. Insertion, comprehensiveness, FF: high is good; deletion, sufficiency: low.",
        table([rounded(row) for row in record["attribution"]]),
        "### Sanity",
        "Layers shuffled down to this one: rank correlation and top 20 % shared with the intact model's attribution; "
        "rank correlation with abs(z - z0).",
        table([rounded(stage, names) for stage in record["sanity"]["stages"]]),
        record["sanity"]["words"],
        "### Localization",
        table([rounded(row) for row in record["localization"]]),
        "The last column is about the clips whose word the trained model recognises.",
    ]
    if "transfer" in record:
        parts += [
            "### A second classifier",
            f"{LOCALIZATION_CLIPS} of the clips, zero filler: does a classifier that had no part in them, trained "
            "separately, give the kept audio the label of the plain reconstruction, and another one to the residual?",
            table([rounded(row) for row in record["transfer"]]),
        ]
    for task in record["tasks"]:
        means = {name: figure["mean"] for name, figure in task["ceiling"].items()}
        parts += [
            f"## {task['task']}",
            f"{task['clips']} clips, {task['speakers']} speakers or sources. Accuracy {means['accuracy']:.3f}, on the "
            f"reconstruction {means['accuracy_on_reconstruction']:.3f}; the two agree in "
            f"{means['agreement_on_reconstruction']:.3f}.",
            shares_table(task),
        ]
    return "\n\n".join(parts)


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("fidelity", __doc__, timed=False)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--limit", type=int, help="clips at most; default: all of the split")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--fillers", default="zero,mean,noise")
    parser.add_argument("--levels", default=",".join(f"{level:g}" for level in LEVELS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--others", default=OTHERS, help="rankings that fewer clips are evaluated with, over zeros")
    parser.add_argument("--few", type=int, default=240, help="clips for these, and for the other tasks")
    parser.add_argument("--second", metavar="DIR", help="another explainer, to classify the sounds as well")
    parser.add_argument(
        "--random-labels", metavar="DIR", help="an explainer of the same codec trained on random labels"
    )
    parser.add_argument("--tasks", metavar="NAME=DIR,...", help="folders below DATA, each with its explainer")
    parser.add_argument("--out", default="fidelity", metavar="DIR", help="for the JSON, the table and the picture")
    parser.add_argument("--results", metavar="FILE", help="document to write, for example benchmarks/RESULTS.md")
    arguments = parser.parse_args(argv)
    use_each_core_as_a_device()
    use_compilation_cache()
    if arguments.small:
        arguments.limit, arguments.few, arguments.fillers, arguments.levels = 4, 2, "zero", "0.2"
    below = pathlib.Path(arguments.data) / "speech_commands"
    data, out = below if below.is_dir() else pathlib.Path(arguments.data), pathlib.Path(arguments.out)
    levels = tuple(float(level) for level in arguments.levels.split(","))
    plan = Plan(tuple(arguments.methods.split(",")), tuple(arguments.fillers.split(",")), levels, arguments.seeds)
    if not (out / "fidelity.json").exists():
        evaluate_folder(arguments.model, data, plan, out, limit=arguments.limit)
    explainer = load_explainer(arguments.model)
    record = evaluated(out, plan, explainer, len(clips_of(explainer, data, "test", arguments.limit)))
    others = Plan(tuple(arguments.others.split(",")), ("zero",), SHOWN, 1)
    record["others"] = evaluate_folder(arguments.model, data, others, out / "others", limit=arguments.few)
    files = clips_of(explainer, data, "test", arguments.few if arguments.small else LOCALIZATION_CLIPS)
    recordings = read_clips([file.path for file in files], explainer.sample_rate, quiet=True)
    clips = [recording[: explainer.clip_samples] for recording in recordings]
    random_labels = load_explainer(arguments.random_labels) if arguments.random_labels else None
    record["sanity"] = sanity_figures(explainer, clips[:SANITY_CLIPS], random_labels)
    record["localization"] = list(localization_figures(explainer, clips, files))
    if arguments.second:
        record["transfer"] = transfer(explainer, load_explainer(arguments.second), files, MAIN, SHOWN)
    record["tasks"] = []
    for name, model in (task.split("=", 1) for task in (arguments.tasks or "").split(",") if task):
        task_plan = Plan(MAIN, ("zero",), SHOWN, arguments.seeds)
        folder = pathlib.Path(arguments.data) / name
        found = evaluate_folder(model, folder, task_plan, out / name, limit=arguments.few)
        record["tasks"].append({"task": name} | {key: found[key] for key in ("clips", "speakers", "ceiling", "curves")})
    write_json(out / "benchmark.json", record)
    report(arguments, record)
    text = markdown(json.loads((out / "benchmark.json").read_text(encoding="utf-8")))
    print(text)
    if arguments.results:
        write_figures(arguments.results, text)


if __name__ == "__main__":
    main()
