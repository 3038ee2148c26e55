"""Which elements should an explanation keep? Fidelity of the default ranking, its rivals and its controls.

    python -m benchmarks.fidelity DATA [--parts main,events,...] [--limit 1015] [--out DIR] [--results FILE]

DATA holds the labelled folder `speech_commands`, or is one itself; its test split is used. Each part runs by itself and
leaves its figures in DIR/PART.json; the document is made of all parts that are there, and goes between the marks of
--results. Parts:

    main            what `audex evaluate` measures: the default ranking against others, over several fillers
    others          more rankings, on fewer clips
    contaminations  clips with noise, music or other speech over them, see --contaminations
    controls        moved sounds, wrong targets, shuffled weights
    sanity          what is left of attributions when the classifier's layers are shuffled; see --random-labels
    localization    words at known times in a clip
    events          words at known times in a long recording
    bands           the octave that the decision hangs on
    strangers       explainers trained apart classify the sounds; see --strangers and `audex train --strangers`
    tasks           explainers of other folders in DATA; see --tasks
"""

import argparse
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from audex_jax.bundles import digest, load_explainer
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.registry import RANKINGS
from audex_jax.core.settings import ADVERSARIAL, AMORTISED, Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.evaluation import events, localization, mixtures, sanity, words
from audex_jax.evaluation.arms import arm_of
from audex_jax.evaluation.bands import band_rows
from audex_jax.evaluation.blocks import explain_all
from audex_jax.evaluation.controls import FLOOR, run_controls
from audex_jax.evaluation.folder import clips_of, evaluate_folder
from audex_jax.evaluation.outputs import write_json
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import evaluate
from audex_jax.evaluation.statistics import all_or_none, bootstrap, bracket
from audex_jax.evaluation.strangers import open_strangers, summarise_strangers
from audex_jax.evaluation.summary import summarise
from audex_jax.evaluation.transfer import ask_strangers
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.result import judgement
from benchmarks.bundled import write_figures
from benchmarks.fidelity_tables import markdown
from benchmarks.measure import parser_for, report

DEFAULT = Settings.ranking
MAIN = tuple(dict.fromkeys((DEFAULT, "weighted", "signed", "magnitude", "random")))
CONTROLLED = (DEFAULT, AMORTISED, "weighted", "magnitude", ADVERSARIAL)
RIVAL_CLIPS = 48  # of the controls of other rivals than `magnitude`
STRANGE = (DEFAULT, AMORTISED, "magnitude", "weighted", "random", ADVERSARIAL)
JUDGED = ("sufficient", "necessary", "reconstruction_agrees_shifted", "sufficient_shifted", "necessary_shifted")
INPUT = ("waveform-ig", "spectrum-ig", "audio-frames")
OTHERS = tuple(dict.fromkeys((DEFAULT, *RANKINGS.names(), "gradient-x-input", *INPUT)))
SHOWN = (0.1, 0.2, 0.417)
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.5, 0.7)
FEWER = {"sanity": 16, "bands": 48, "events": 48}  # clips at most, where a part costs more
SHUFFLED_MODELS = 3  # whose areas are averaged


class Subject(NamedTuple):
    """What all parts are about.

    Attributes:
        explainer, name: the model.
        data: its labelled folder.
        files, clips: fewer of its recordings, for all parts but `main`.
        out: folder of the results.
        given: the command line.
    """

    explainer: Explainer
    name: str
    data: pathlib.Path
    files: list[LabelledClip]
    clips: list[np.ndarray]
    out: pathlib.Path
    given: argparse.Namespace


def known(subject: Subject, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of some rankings that the model can be explained by."""
    return tuple(name for name in names if name != AMORTISED or subject.explainer.model.mask_network is not None)


def main_figures(subject: Subject) -> dict[str, Any]:
    """The whole evaluation."""
    given = subject.given
    levels = tuple(float(level) for level in given.levels.split(","))
    plan = Plan(tuple(given.methods.split(",")), tuple(given.fillers.split(",")), levels, given.seeds)
    how = {"limit": given.limit, "skip": given.skip}
    return evaluate_folder(subject.name, subject.data, plan, subject.out / "main", **how)


def other_figures(subject: Subject) -> dict[str, Any]:
    """More rankings over zeros."""
    plan = Plan(known(subject, OTHERS), ("zero",), SHOWN, 1)
    return evaluate_folder(subject.name, subject.data, plan, subject.out / "others", limit=subject.given.few)


def contaminated_figures(subject: Subject) -> list[dict[str, Any]]:
    """The main rankings on mixtures at 0 dB."""
    found = []
    for kind in subject.given.contaminations.split(","):
        folder = subject.out / "mixtures" / kind
        files = mixtures.write_mixtures(folder, subject.clips, subject.files, kind, subject.explainer.sample_rate)
        plan = Plan(MAIN, ("zero",), SHOWN, subject.given.seeds)
        scores = evaluate(subject.explainer, files, plan, folder / "partial", quiet=False)
        found.append({"task": f"with {kind}", "levels": SHOWN, **summarise(scores)})
    return found


def control_rows(subject: Subject) -> list[dict[str, Any]]:
    """What rankings make of moved sounds, wrong targets and shuffled weights, with 20 % kept."""
    rows = []
    for name in known(subject, CONTROLLED):
        settings, count = Settings(ranking=name), None if name in (DEFAULT, AMORTISED, FLOOR) else RIVAL_CLIPS
        clips, speakers = subject.clips[:count], all_or_none(f.speaker for f in subject.files[:count])
        explained = list(explain_all(subject.explainer, clips, settings, control=True))
        records = [judgement(e) for e in explained]
        found = {field: np.array([r[field] for r in records], float) for field in JUDGED}
        figures = run_controls(subject.explainer, clips, settings, quiet=False, explained=explained).figures(speakers)
        shares = {field: told(bootstrap(values, speakers)._asdict()) for field, values in found.items()}
        shares |= {field: told(figures[field], "mean") for field in ("wrong", "forced")}
        shares |= {field: told(figures[field], "difference") for field in ("keep_above_floor", "delete_above_floor")}
        rows.append(
            {"ranking": name, "clips": len(clips)} | {field.replace("_", " "): share for field, share in shares.items()}
        )
    return rows


def told(figure: dict[str, Any], name: str = "mean") -> str:
    """A share or a difference with its interval."""
    return f"{figure[name]:.3f}{bracket(figure['low'], figure['high'])}"


def sanity_figures(subject: Subject) -> dict[str, Any]:
    """What is left of attributions when the classifier's layers are shuffled."""
    other = subject.given.random_labels
    stages = sanity.cascade(subject.explainer, subject.clips, load_explainer(other) if other else None)
    fine, conclusion = sanity.assess(stages)
    return {"stages": [dataclasses.asdict(stage) for stage in stages], "fine": fine, "words": conclusion}


def localization_rows(subject: Subject) -> list[dict[str, Any]]:
    """How well attributions find words at known times, for the trained classifier and for shuffled ones."""
    rows, explainer = [], subject.explainer
    for kind in words.KINDS:
        placed = words.place_words(subject.clips, subject.files, explainer.labels, explainer.clip_samples, kind)
        of = functools.partial(localization.localization_auc, explainer, placed)
        found = {"trained": [of()], "shuffled": [of(shuffled=seed) for seed in range(SHUFFLED_MODELS)]}
        recognised = found["trained"][0][1]
        for classifier, runs in found.items():
            frames, syllables = np.nanmean([areas for areas, _ in runs], 0)
            row = {"kind": kind, "classifier": classifier, "clips": len(recognised)}
            row["recognised"] = float(np.mean([hits for _, hits in runs]))
            row |= {"AUC of frames": float(np.nanmean(frames)), "AUC of 0.25 s": float(np.nanmean(syllables))}
            row["of recognised clips"] = float(np.nanmean(syllables[recognised])) if recognised.any() else None
            rows.append(row)
    return rows


def event_rows(subject: Subject) -> list[dict[str, Any]]:
    """How well attributions find a word among others in a long recording."""
    explainer = subject.explainer
    made = events.place_events(subject.clips, subject.files, explainer.labels, explainer.clip_samples)
    ways: dict[str, list[dict]] = {
        "expected gradients": [{}],
        "... of shuffled classifiers": [{"shuffled": seed} for seed in range(SHUFFLED_MODELS)],
        "the default attribution": [{"settings": Settings()}],
        "loudness": [{"settings": Settings(method="magnitude")}],
    }
    rows = []
    for name, runs in ways.items():
        everything, among = np.nanmean([np.nanmean(events.event_auc(explainer, made, **run), 1) for run in runs], 0)
        rows.append({"attribution": name, "AUC": float(everything), "AUC among words": float(among)})
    return rows


def bands_rows(subject: Subject) -> list[dict[str, Any]]:
    """Whether explanations keep the octave that the decision hangs on."""
    arms = {name: Settings(method=arm_of(name).method, ranking=arm_of(name).ranking) for name in MAIN}
    return band_rows(subject.explainer, subject.clips, arms)


def strangers_figures(subject: Subject) -> dict[str, Any]:
    """What classifiers trained apart make of the sounds."""
    if not subject.given.strangers:
        raise SystemExit("the part strangers needs --strangers DIR: audex train ... --strangers 3")
    plan = Plan(known(subject, STRANGE), ("zero",), SHOWN[:2], 1)
    strangers = open_strangers(subject.given.strangers.split(","))
    scratch = subject.out / "strangers.partial"
    return summarise_strangers(ask_strangers(subject.explainer, strangers, subject.files, plan, scratch, quiet=False))


def task_figures(subject: Subject) -> list[dict[str, Any]]:
    """The main rankings of other models on other data."""
    found = []
    for name, model in (task.split("=", 1) for task in subject.given.tasks.split(",") if task):
        methods = tuple(subject.given.methods.split(","))
        plan, folder = Plan(methods, ("zero",), SHOWN, subject.given.seeds), pathlib.Path(subject.given.data) / name
        record = evaluate_folder(model, folder, plan, subject.out / name, limit=subject.given.few)
        found.append({"task": name, "levels": SHOWN, **record})
    return found


PARTS: dict[str, Callable[[Subject], Any]] = {
    "main": main_figures,
    "others": other_figures,
    "contaminations": contaminated_figures,
    "controls": control_rows,
    "sanity": sanity_figures,
    "localization": localization_rows,
    "events": event_rows,
    "bands": bands_rows,
    "strangers": strangers_figures,
    "tasks": task_figures,
}


def known_parts(out: pathlib.Path, weights: str) -> Iterator[tuple[str, Any]]:
    """The parts that stand in a folder.

    Raises:
        SystemExit: one is of another model.
    """
    for name in PARTS:
        path = out / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["weights"] != weights:
                raise SystemExit(f"{path} was made with another model; choose another --out")
            yield name, record["figures"]


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("fidelity", __doc__, timed=False)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--parts", default="main,others,contaminations,controls,sanity,localization,events,bands")
    parser.add_argument("--limit", type=int, help="clips of the part main at most; default: all of the split")
    parser.add_argument("--few", type=int, default=240, help="clips of other parts at most (default: 240)")
    parser.add_argument("--skip", type=int, default=0, help="clips that are left out, of an earlier run")
    parser.add_argument("--methods", default=",".join(MAIN))
    parser.add_argument("--fillers", default="zero,mean,noise")
    parser.add_argument("--levels", default=",".join(f"{level:g}" for level in LEVELS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--contaminations", default=",".join(mixtures.KINDS), help="what lies over clips at 0 dB")
    parser.add_argument("--strangers", metavar="DIR,...", help="explainers trained apart, or folders of them")
    parser.add_argument("--random-labels", metavar="DIR", help="an explainer of this codec trained on random labels")
    parser.add_argument("--tasks", default="", metavar="NAME=DIR,...", help="folders in DATA, with their explainers")
    parser.add_argument("--out", default="fidelity", metavar="DIR", help="folder of the parts")
    parser.add_argument("--results", metavar="FILE", help="document to write, for example benchmarks/RESULTS.md")
    given = parser.parse_args(argv)
    parts = given.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    use_each_core_as_a_device()
    use_compilation_cache()
    if given.small:
        given.limit, given.few, given.fillers, given.levels = 4, 4, "zero", "0.2"
    below, out = pathlib.Path(given.data) / "speech_commands", pathlib.Path(given.out)
    data = below if below.is_dir() else pathlib.Path(given.data)
    explainer = load_explainer(given.model)
    weights = digest(explainer)[:12]
    dict(known_parts(out, weights))  # refuses a folder of another model before anything is measured
    files = clips_of(explainer, data, "test", given.skip + given.few)[given.skip :]
    recordings = read_clips([file.path for file in files], explainer.sample_rate, quiet=True)
    clips = [recording[: explainer.clip_samples] for recording in recordings]
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        n = FEWER.get(part)
        figures = PARTS[part](Subject(explainer, given.model, data, files[:n], clips[:n], out, given))
        write_json(out / f"{part}.json", {"weights": weights, "clips": len(clips[:n]), "figures": figures})
    record = dict(known_parts(out, weights))
    report(given, record)
    text = markdown(record)
    print(text)
    if given.results:
        write_figures(given.results, text)


if __name__ == "__main__":
    main()
