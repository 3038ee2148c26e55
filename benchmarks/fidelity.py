"""Which elements should an explanation keep? Fidelity of every selection, as latents and through the audio.

    python -m benchmarks.fidelity DATA [--model mini-speech-commands] [--limit 1015] [--out DIR] [--results FILE]

DATA holds the labelled folder `speech_commands`, or is one itself; its test split is used. Writes what `audex
evaluate` writes to --out, unless it is there already; evaluates more rankings on fewer clips, adds sanity, planted
evidence and listening, and puts the tables made from the JSON into --results, between its marks: what people wrote
around them stays.
With --listener, another explainer of the same labels (`audex train ... --seed 7`), it asks that one, too; with
--untaught, one trained on random labels (`audex train ... --shuffle-labels`), it compares what the two look at. --tasks
fsdd=DIR,tess=DIR evaluates explainers of other folders in DATA.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import numpy as np

from audex_jax.core.compilation import use_compilation_cache
from audex_jax.data.clips import read_clips
from audex_jax.devices.mapping import a_device_for_each_core
from audex_jax.evaluation import Plan, planted, sanity
from audex_jax.evaluation.outputs import header_of, markdown_table, rows_of, write_json
from audex_jax.evaluation.report import clips_of, evaluate_folder
from audex_jax.evaluation.run import weights_hash
from audex_jax.evaluation.transfer import transfer
from audex_jax.explain.explainer import Explainer, load_explainer
from audex_jax.explain.step import Settings
from benchmarks import listening
from benchmarks.bundled import write_figures

OTHERS = "refined,weighted,absolute,mixed,positive,frames,gradient-x-input,waveform-ig,spectrum-ig,audio-frames"
SHOWN = (0.1, 0.2, 0.417)
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.5, 0.7)
SANITY_CLIPS, PLANTED_CLIPS, LISTENING_CLIPS = 16, 96, 48
SHUFFLED_MODELS = 3  # whose areas are averaged
LISTENED = ("refined", "weighted", "signed", "magnitude", "random")
FIELD = ("AI", "AD", "AD of SpeechBrain", "AG", "FF", "Fid-In")
STATISTICS = {
    "insertion": ".3f",
    "deletion": ".3f",
    "insertion_minus_deletion": ".3f",
    "comprehensiveness": ".3f",
    "sufficiency": ".3f",
}


def sanity_figures(explainer: Explainer, clips: list[np.ndarray], untaught: Explainer | None) -> dict:
    stages = sanity.cascade_of(explainer, clips, untaught)
    fine, words = sanity.verdict(stages)
    return {"stages": [dataclasses.asdict(stage) for stage in stages], "fine": fine, "verdict": words}


def planted_figures(explainer: Explainer, clips: list[np.ndarray], files: list) -> list[dict]:
    rows = []
    for kind in planted.KINDS:
        made = planted.plant(clips, files, explainer.labels, explainer.clip_samples, kind)
        trained, hits = planted.localise(explainer, made)
        shuffled = [planted.localise(explainer, made, shuffled=seed) for seed in range(SHUFFLED_MODELS)]
        areas, guesses = np.nanmean([one for one, _ in shuffled], 0), np.mean([one for _, one in shuffled], 0)
        for model, (frames, syllables), own in (("trained", trained, hits), ("shuffled", areas, guesses)):
            rows.append(
                {
                    "kind": kind,
                    "model": model,
                    "clips": len(hits),
                    "recognised": float(own.mean()),
                    "auc": float(np.nanmean(frames)),
                    "auc_of_syllables": float(np.nanmean(syllables)),
                    "auc_of_recognised": float(np.nanmean(syllables[hits])) if hits.any() else None,
                }
            )
    return rows


def task_figures(data: pathlib.Path, tasks: dict[str, str], out: pathlib.Path, seeds: int, limit: int) -> list[dict]:
    """The main figures of explainers of other tasks, each on the test split of its own folder."""
    found, plan = [], Plan(LISTENED, ("zero",), SHOWN, seeds)
    for name, model in tasks.items():
        record = evaluate_folder(model, data / name, plan, out / name, limit=limit)
        found.append({"task": name} | {key: record[key] for key in ("clips", "speakers", "ceiling", "curves")})
    return found


def separation(record: dict) -> list[dict]:
    """Where the first method is better than another of the latent ones: intervals of 95 % that do not overlap.

    Shares are those of the clips that keep the prediction, or lose it when deleted. `limit` is what everything kept, or
    deleted, comes to: no deletion is sure to do better.
    """
    curves = {(c["method"], c["filler"], c["mode"], c["way"]): c for c in record["curves"]}
    first, rows = record["plan"]["methods"][0], []
    for (method, filler, mode, way), other in curves.items():
        own = curves.get((first, filler, mode, way))
        if method == first or own is None:
            continue
        kept = mode == "keep"
        own_share, other_share = (np.abs((not kept) - np.array(c["agreement"])) for c in (own, other))
        for at, level in enumerate(own["level"]):
            if level in SHOWN:
                rows.append(
                    {
                        "against": method,
                        "filler": filler,
                        "mode": mode,
                        "way": way,
                        "level": level,
                        "apart": own["low"][at] > other["high"][at] if kept else own["high"][at] < other["low"][at],
                        "own": own_share[at],
                        "other": other_share[at],
                        "limit": own_share[-1],
                    }
                )
    return rows


def separation_markdown(record: dict) -> list[str]:
    rows, lines = separation(record), []
    for method in dict.fromkeys(row["against"] for row in rows):
        some = [row for row in rows if row["against"] == method]
        words = [f"- {method}: {sum(row['apart'] for row in some)} of {len(some)} apart"]
        for row in some:
            if not row["apart"]:
                limit = f"; everything deleted: {row['limit']:.3f}" if row["mode"] == "delete" else ""
                words.append(
                    f"not {row['mode']} {row['level']:g} over {row['filler']}, {row['way']} "
                    f"({row['own']:.3f} against {row['other']:.3f}{limit})"
                )
        lines.append("; ".join(words))
    return lines


def tasks_markdown(tasks: list[dict]) -> list[str]:
    lines = ["## Other tasks", ""]
    for task in tasks:
        means = {name: figure["mean"] for name, figure in task["ceiling"].items()}
        lines += [
            f"### {task['task']}",
            "",
            f"{task['clips']} clips, {task['speakers']} speakers or sources. Accuracy {means['accuracy']:.3f}, on the "
            f"reconstruction {means['accuracy_on_reconstruction']:.3f}; the two agree in "
            f"{means['agreement_on_reconstruction']:.3f}.",
            "",
            markdown_table(header_of(SHOWN), rows_of(task, SHOWN)),
            "",
        ]
    return lines


def evaluated(out: pathlib.Path, plan: Plan, explainer: Explainer, clips: int) -> dict:
    """The evaluation that stands in a folder.

    Raises:
        SystemExit: it is one of another plan or model, or of another number of clips.
    """
    record = json.loads((out / "fidelity.json").read_text(encoding="utf-8"))
    asked = json.loads(json.dumps(dataclasses.asdict(plan))), weights_hash(explainer), clips
    if (record["plan"], record["weights"], record["clips"] + record["silent"]) != asked:
        path = out / "fidelity.json"
        raise SystemExit(f"{path} was made with another plan, model or --limit; choose another --out")
    return record


def markdown(record: dict) -> str:
    """The figures as the tables of a document."""
    ceiling, plan = record["ceiling"], record["plan"]
    agree = ceiling["agreement_on_reconstruction"]
    lines = [
        "## Speech Commands",
        "",
        "Written by `python -m benchmarks.fidelity` from its JSON. Model "
        f"`{pathlib.Path(record['model']).name}` (weights {record['weights']}), {record['clips']} clips of the "
        f"{record['split']} split of {record['data']}, {record['speakers']} speakers; {plan['rule']}, "
        f"{plan['steps']} points, {plan['seeds']} seeds, {plan['refinement']} refinement steps; "
        f"{record['seconds']:.0f} s on {record['device']}; "
        + ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        + ".",
        "",
        f"Ceiling: accuracy {ceiling['accuracy']['mean']:.3f}, on the codec's reconstruction "
        f"{ceiling['accuracy_on_reconstruction']['mean']:.3f}; the two agree in {agree['mean']:.3f} "
        f"[{agree['low']:.3f}, {agree['high']:.3f}] of the clips, which is what audio can reach.",
        "",
        "Shares of clips, latent / audio. keep: what is kept alone gets the model's own prediction; delete: without it "
        "the prediction changes. Input methods edit the decoded sound, so they have no latent.",
        "",
        markdown_table(header_of(SHOWN), rows_of(record, SHOWN)),
        "",
        f"Where the intervals of 95 % of {plan['methods'][0]} and another ranking do not overlap, out of all fillers, "
        "modes, ways and shares of the table:",
        "",
        *separation_markdown(record),
        "",
        f"### {plan['methods'][0]} against the others, through the audio",
        "",
        "Advantage with its paired 95 % interval over clips, and McNemar's exact p; positive favours the first.",
        "",
    ]
    chosen = [c for c in record["comparisons"] if c["way"] == "audio" and c["level"] in SHOWN]
    rows = [
        [
            c["against"],
            c["against_filler"],
            c["mode"],
            f"{c['level']:.3g}",
            f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]",
            f"{c['p']:.1g}",
        ]
        for c in chosen
    ]
    lines += [markdown_table(["against", "filler", "mode", "share", "advantage", "p"], rows), ""]
    others = record["others"]
    lines += [
        f"### Other rankings, {others['clips']} clips",
        "",
        markdown_table(header_of(SHOWN), rows_of(others, SHOWN)),
        "",
        "### Areas and the field's metrics, through the audio",
        "",
    ]
    metrics = [m for m in record["metrics"] if m["way"] == "audio"]
    rows = [
        [m["method"], m["filler"]]
        + [format(m[name]["mean"], form) for name, form in STATISTICS.items()]
        + [format(m[name]["0.2"], ".3g") for name in FIELD]
        for m in metrics
    ]
    names = [name.replace("_", " ") for name in STATISTICS]
    lines += [markdown_table(["method", "filler", *names, *FIELD], rows), ""]
    lines += [
        "AI to Fid-In with 20 % kept. Insertion, comprehensiveness, FF: high is good; deletion, sufficiency: low.",
        "",
    ]
    rows = [
        [
            a["filler"],
            f"{a['median_gap']:.2%}",
            f"{a['gap_above_5_percent']:.1%}",
            f"{a['SPS']:.3f}",
            f"{a['COMP']:.2f}",
            f"{a['infidelity']:.3g}",
            f"{a['max_sensitivity']:.3g}",
        ]
        for a in record["attribution"]
    ]
    lines += [
        markdown_table(["filler", "median gap", "gap above 5 %", "SPS", "COMP", "infidelity", "max sensitivity"], rows),
        "",
        "### Sanity",
        "",
    ]
    rows = [
        [s["layer"], f"{s['spearman']:.3f}", f"{s['overlap']:.3f}", f"{s['magnitude']:.3f}"]
        for s in record["sanity"]["stages"]
    ]
    header = ["shuffled down to", "rank correlation", "top 20 % shared", "correlation with abs(z - z0)"]
    lines += [markdown_table(header, rows), "", record["sanity"]["verdict"], "", "### Planted evidence", ""]
    rows = [
        [
            p["kind"],
            p["model"],
            str(p["clips"]),
            f"{p['recognised']:.3f}",
            f"{p['auc']:.3f}",
            f"{p['auc_of_syllables']:.3f}",
            "-" if p["auc_of_recognised"] is None else f"{p['auc_of_recognised']:.3f}",
        ]
        for p in record["planted"]
    ]
    header = ["kind", "model", "clips", "recognised", "AUC of frames", "AUC of 0.25 s", "of recognised clips"]
    lines += [markdown_table(header, rows), ""]
    lines += ["The last column is about the clips whose planted word the trained model recognises.", ""]
    lines += ["### Listening", "", listening.markdown(record["listening"]), ""]
    if "listener" in record:
        rows = [[r["method"], f"{r['share']:g}", f"{r['keep']:.3f}", f"{r['delete']:.3f}"] for r in record["listener"]]
        lines += [
            "### A second listener",
            "",
            f"{PLANTED_CLIPS} of the clips, zero filler: does a classifier that had no part in them, trained "
            "separately, hear in the kept audio what it hears in the plain reconstruction, and something else in the "
            "rest?",
            "",
            markdown_table(["method", "share", "keep", "delete"], rows),
            "",
        ]
    if record.get("tasks"):
        lines += tasks_markdown(record["tasks"])
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--limit", type=int, help="clips at most; default: all of the split")
    parser.add_argument("--methods", default="refined,signed,magnitude,random")
    parser.add_argument("--fillers", default="zero,mean,noise")
    parser.add_argument("--levels", default=",".join(f"{level:g}" for level in LEVELS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--others", default=OTHERS, help="rankings that fewer clips are evaluated with, over zeros")
    parser.add_argument("--few", type=int, default=240, help="clips for these, and for the other tasks")
    parser.add_argument("--rule", default=Plan().rule)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--refinement", type=int, default=Plan().refinement)
    parser.add_argument("--listener", metavar="DIR", help="another explainer, to hear the explanations as well")
    parser.add_argument("--untaught", metavar="DIR", help="an explainer of the same codec trained on random labels")
    parser.add_argument("--tasks", metavar="NAME=DIR,...", help="folders below DATA, each with its explainer")
    parser.add_argument("--out", default="fidelity", metavar="DIR", help="for the JSON, the table and the picture")
    parser.add_argument("--results", metavar="FILE", help="document to write, for example benchmarks/RESULTS.md")
    arguments = parser.parse_args()
    a_device_for_each_core()
    use_compilation_cache()
    below = pathlib.Path(arguments.data) / "speech_commands"
    data = below if below.is_dir() else pathlib.Path(arguments.data)
    plan = Plan(
        tuple(arguments.methods.split(",")),
        tuple(arguments.fillers.split(",")),
        tuple(float(v) for v in arguments.levels.split(",")),
        arguments.seeds,
        arguments.rule,
        arguments.steps,
        arguments.refinement,
    )
    out = pathlib.Path(arguments.out)
    if not (out / "fidelity.json").exists():
        evaluate_folder(arguments.model, data, plan, out, limit=arguments.limit)
    explainer = load_explainer(arguments.model)
    record = evaluated(out, plan, explainer, len(clips_of(explainer, data, "test", arguments.limit)))
    started = time.monotonic()
    rankings = Plan(tuple(arguments.others.split(",")), ("zero",), SHOWN, 1, plan.rule, plan.steps, plan.refinement)
    record["others"] = evaluate_folder(arguments.model, data, rankings, out / "others", limit=arguments.few)
    files = clips_of(explainer, data, "test", max(SANITY_CLIPS, PLANTED_CLIPS))
    clips = [
        c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate, quiet=True)
    ]
    record["listening"] = listening.figures(explainer, files[:LISTENING_CLIPS], Settings())
    untaught = load_explainer(arguments.untaught) if arguments.untaught else None
    record["sanity"] = sanity_figures(explainer, clips[:SANITY_CLIPS], untaught)
    record["planted"] = planted_figures(explainer, clips[:PLANTED_CLIPS], files[:PLANTED_CLIPS])
    if arguments.listener:
        other, few = load_explainer(arguments.listener), files[:PLANTED_CLIPS]
        record["listener"] = transfer(explainer, other, few, LISTENED, SHOWN)
    tasks = dict(task.split("=", 1) for task in arguments.tasks.split(",")) if arguments.tasks else {}
    record["tasks"] = task_figures(pathlib.Path(arguments.data), tasks, out, arguments.seeds, arguments.few)
    record["seconds of the rest"] = time.monotonic() - started
    write_json(out / "benchmark.json", record)
    text = markdown(json.loads((out / "benchmark.json").read_text(encoding="utf-8")))
    print(text)
    if arguments.results:
        write_figures(arguments.results, text)


if __name__ == "__main__":
    main()
