"""`audex train`: train a classifier on the latents or the sounds of a codec, or several apart from one another."""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from audex_jax.data.listing import SPLITS

if TYPE_CHECKING:
    from audex_jax.data.folder import LabelledFolder
    from audex_jax.io.tensorboard import RunLog
    from audex_jax.training.ladder import Rung
    from audex_jax.training.recipes import ClassifierRecipe
    from audex_jax.training.task import Task

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, and an optional splits.csv with the columns
file,label,speaker,split. Without it the recordings are split here: every label is in every split and, if the file names
tell speakers, no speaker is in two splits.

Several classifiers are trained, unless --classifier names one: a linear one, which reads the latent's mean, standard
deviation and mean change; a small transformer; and, from 1000 training clips on, the published transformer. A larger
one is tried only while the last one was better than the one before. The one with the lowest validation loss is kept; a
larger one only if it is better by more than the standard error. If the classifier is not better than chance on the test
split, the bundle holds a warning, and `audex explain` repeats it.

What classifiers read is computed once and kept in OUT.training; the same command after a kill goes on where it was.

An explanation should mean something to classifiers that had no part in it, too. --strangers K trains K of them, apart
from one another and from any other: OUT/1-transformer, OUT/2-conv, OUT/3-log-mel and so on, each from another seed and
each an explainer bundle. Those that are there already are left as they are.

examples:
  audex train recordings --out my-explainer
  audex train recordings --codec mdct:16000 --out my-explainer
  audex train recordings --codec mini-speech-commands --strangers 3 --out strangers
  audex evaluate recordings --model my-explainer --strangers strangers --out fidelity
"""

STRANGERS = ("transformer", "conv", "log-mel")  # families of strangers, in turn

BEST = "best"  # what stands for a family: several are trained, and the best by validation loss is kept

LONGEST = 5.0  # seconds of a clip, unless asked otherwise

TEST_FIGURES = ("accuracy", "accuracy_on_reconstruction", "agreement_on_reconstruction")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex train` to its parser."""
    from audex_jax.cli.options import MODEL, add_codec, add_options, positive
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.training.recipes import ClassifierRecipe

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings")
    add_codec(parser, default=MODEL)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the explainer bundle")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--classifier",
        default=BEST,
        choices=(BEST, *CLASSIFIERS.names()),
        metavar="NAME",
        help=f"family of the classifier: {BEST}, or one of {', '.join(CLASSIFIERS.names())} (default: {BEST})",
    )
    which.add_argument(
        "--strangers", type=positive, metavar="K", help="train K independent classifiers, each in a folder of DIR"
    )
    parser.add_argument("--start", metavar="DIR", help="explainer bundle whose classifier training starts from")
    parser.add_argument("--labels", metavar="A,B,...", help="use only these labels (default: all)")
    parser.add_argument(
        "--clip-seconds",
        type=float,
        help="length to which clips are cut or padded (default: the longest clip, at most 5 s)",
    )
    parser.add_argument(
        "--bandwidth",
        type=float,
        metavar="KBPS",
        help="train on the latent quantised at this bit rate (default: not quantised)",
    )
    parser.add_argument("--width", type=positive, metavar="N", help="width of the classifier (default: its family's)")
    parser.add_argument(
        "--companding",
        type=float,
        metavar="C",
        help="the classifier reads asinh(C * latent); 0: the latent itself (default: its family's)",
    )
    parser.add_argument(
        "--shuffle-labels", action="store_true", help="train on random labels: a control for sanity tests"
    )
    parser.add_argument("--float16", action="store_true", help="store the weights in float16")
    parser.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="also write losses, accuracies and the confusion matrix for TensorBoard to DIR",
    )
    text = "exit with 1 if the classifier is not better than chance, or a label has no clips in a split"
    parser.add_argument("--strict", action="store_true", help=text)
    parser.add_argument("--quiet", action="store_true", help="hide progress")
    add_options(parser, ClassifierRecipe, group="recipe")


class Job(NamedTuple):
    """One training: the classifier's family, its recipe, and the folders of bundle, training state and log."""

    family: str
    recipe: "ClassifierRecipe"
    out: pathlib.Path
    state: pathlib.Path
    log: str | None


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex train`; the exit code."""
    from audex_jax.bundles import open_codec
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import at_bandwidth
    from audex_jax.cli.options import read_options
    from audex_jax.core.compilation import use_compilation_cache
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.io.tensorboard import RunLog
    from audex_jax.training.recipes import ClassifierRecipe
    from audex_jax.training.task import Task

    if arguments.strangers and arguments.start:
        raise UsageError("--start: strangers are trained apart from all others; leave it out")
    if arguments.clip_seconds is not None and not 0.01 <= arguments.clip_seconds <= 600:
        raise UsageError(f"--clip-seconds {arguments.clip_seconds:g}: give 0.01 to 600")
    recipe = read_options(ClassifierRecipe, arguments)
    use_compilation_cache()
    jobs = jobs_of(arguments, recipe)
    logs = [RunLog(job.log) for job in jobs]  # says now if it cannot
    codec = at_bandwidth(open_codec(arguments.codec), arguments.bandwidth)
    folder = labelled_folder(arguments)
    print_clips(folder)
    samples = round((arguments.clip_seconds or longest(folder)) * codec.sample_rate)
    kinds = tuple(sorted({"latent" if job.family == BEST else CLASSIFIERS[job.family].reads for job in jobs}))
    seconds, scratch = samples / codec.sample_rate, scratch_of(pathlib.Path(arguments.out))
    task = Task(codec, folder, seconds, scratch, kinds, recipe.variants, recipe.seed, arguments.quiet)
    grave = []
    for job, log in zip(jobs, logs, strict=True):
        if arguments.strangers and finished(job, folder):
            print(f"{job.out}: was trained before")
        else:
            with log:
                grave += train(task, job, arguments, log)
    return 1 if grave and arguments.strict else 0


def jobs_of(arguments: argparse.Namespace, recipe: "ClassifierRecipe") -> list[Job]:
    """What is to be trained: one classifier, or strangers in turn, each from a seed of its own."""
    out = pathlib.Path(arguments.out)
    scratch, log = scratch_of(out), arguments.tensorboard
    if not arguments.strangers:
        return [Job(arguments.classifier, recipe, out, scratch, log)]
    jobs = []
    for number in range(1, arguments.strangers + 1):
        family = STRANGERS[(number - 1) % len(STRANGERS)]
        name, own = f"{number}-{family}", dataclasses.replace(recipe, seed=recipe.seed + number)
        jobs.append(Job(family, own, out / name, scratch / name, log and f"{log}/{name}"))
    return jobs


def scratch_of(out: pathlib.Path) -> pathlib.Path:
    """The folder of inputs and training state that belong to an output."""
    return out.with_name(out.name + ".training")


def finished(job: Job, folder: "LabelledFolder") -> bool:
    """Is the job's bundle there?

    Raises:
        UsageError: it is, but was trained for other labels or by another recipe.
    """
    from audex_jax.bundles import read_description
    from audex_jax.cli import UsageError

    if not (job.out / "bundle.json").exists():
        return False
    found, recipe = read_description(job.out), job.recipe.fitted(len(folder.split("train")))
    if (found.get("labels"), found["origin"].get("recipe")) != (list(folder.labels), dataclasses.asdict(recipe)):
        raise UsageError(f"{job.out}: trained for other labels or by another recipe; choose another --out")
    return True


def train(task: "Task", job: Job, arguments: argparse.Namespace, log: "RunLog") -> list[str]:
    """Train one classifier, or the best of several, write its bundle and print what it reaches; its grave warnings."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.bundles import load_explainer, save_explainer
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import origin_of
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.model import Model
    from audex_jax.io.progress import Bars
    from audex_jax.report.figure import confusion_figure
    from audex_jax.training.card import at_chance, card, doubts, figures, missing
    from audex_jax.training.classifier import predict
    from audex_jax.training.ladder import LADDER, best, climb

    folder, labels = task.folder, task.folder.labels
    start = None if arguments.start is None else load_explainer(arguments.start)
    families = LADDER if job.family == BEST else (job.family,)
    if start is not None and job.family == BEST:
        families = (family_of(start),)
    reads = CLASSIFIERS[families[0]].reads

    def config(kind: Any) -> Any:
        return task.config(kind, width=arguments.width, companding=arguments.companding)

    if start is not None and (
        start.model.classifier.config != config(CLASSIFIERS[families[0]]) or start.labels != labels
    ):
        raise UsageError(f"--start: {arguments.start} has other labels or another shape than asked for here")
    train, val = task.inputs("train", reads), task.inputs("val", reads, 2).flat()
    if arguments.shuffle_labels:
        chance = np.random.default_rng(job.recipe.seed)
        train, val = (part._replace(labels=chance.permutation(part.labels)) for part in (train, val))
    with Bars(arguments.quiet) as bars:

        def report(family: str, done: int, total: int, note: str, figures: dict[str, float]) -> None:
            bars.update(f"training {family}", done, total, note)
            place = f"{family}/" if len(families) > 1 else ""
            log.scalars(done, {place + name: value for name, value in figures.items()})

        first = None if start is None else start.model.classifier
        rungs = climb(families, config, job.recipe, train, val, job.state, report, start=first)
    recipe = job.recipe.fitted(len(train.labels))
    del train
    chosen = best(rungs)
    plain = task.plain_latents()
    mean = plain.values[plain.valid].mean(0)
    dtype = np.float16 if arguments.float16 else np.float32
    model = Model(task.codec, chosen.classifier, jnp.asarray(mean))
    model = jax.tree.map(lambda a: a.astype(dtype).astype(a.dtype), model)  # as it will be read back
    test = task.inputs("test", reads, 2)
    original, decoded = (predict(model.classifier, test.variant(i)) for i in range(2))
    found = figures(test.labels, original, decoded, len(labels))
    grave = [*missing(folder), *at_chance(found)]
    warnings = (*grave, *doubts(found))
    origin = {
        "made_by": "audex train",
        "codec": origin_of(arguments.codec),
        "recipe": dataclasses.asdict(recipe),
        "started_from": arguments.start and origin_of(arguments.start),
        "labels_shuffled": arguments.shuffle_labels,
        "clips": {name: len(folder.split(name)) for name in SPLITS},
        "split_by": folder.split_by,
        "compared": [rung.record() for rung in rungs],
        "test": found,
    }
    explainer = Explainer(model, labels, task.clip_seconds, warnings)
    save_explainer(job.out, explainer, origin, dtype, card(job.out.name, labels, origin, chosen.family, warnings))
    log.scalars(0, {f"test/{name}": found[name] for name in TEST_FIGURES})
    log.figure("test/confusion", 0, confusion_figure(np.array(found["confusion"]), labels))
    print_report(labels, found, folder.split_by)
    if len(rungs) > 1:
        print_rungs(rungs, chosen)
    print(f"{job.out}: explainer with {len(labels)} labels, clips of {task.clip_seconds:g} s", flush=True)
    for warning in warnings:
        print(f"audex train: warning: {warning}", file=sys.stderr)
    return grave


def family_of(explainer: Any) -> str:
    """Name of the family of an explainer's classifier."""
    from audex_jax.bundles import describe
    from audex_jax.core.registry import CLASSIFIERS

    return describe(CLASSIFIERS, explainer.model.classifier)["family"]


def labelled_folder(arguments: argparse.Namespace) -> "LabelledFolder":
    """The recordings to train on.

    Raises:
        DataError: fewer than two labels, or a split without recordings.
    """
    from audex_jax.data.folder import DataError, read_folder

    folder = read_folder(arguments.data, arguments.labels and tuple(arguments.labels.split(",")))
    if len(folder.labels) < 2:
        raise DataError(f"{arguments.data}: only the label {', '.join(folder.labels)}; a classifier needs at least two")
    for name in ("train", "val", "test"):
        if not folder.split(name):
            raise DataError(f"{arguments.data}: no clips in the {name} split ({folder.split_by}); add some")
    return folder


def longest(folder: "LabelledFolder") -> float:
    """Seconds of the longest recording to train on, at most `LONGEST`."""
    from audex_jax.io.audio import duration

    return min(LONGEST, max(duration(clip.path, LONGEST) for clip in folder.split("train")))


def print_report(labels: tuple[str, ...], test: dict, split_by: str) -> None:
    """The confusion matrix (rows: label, columns: prediction) and the figures of the test split."""
    width = max(map(len, labels))
    print(" " * width, *(f"{label[:4]:>4}" for label in labels))
    for label, row in zip(labels, test["confusion"], strict=True):
        print(f"{label:>{width}}", *(f"{count or '.':>4}" for count in row))
    low, high = test["interval"]
    print(f"split by {split_by}; {test['clips']} test clips")
    print(f"accuracy on the original audio         {test['accuracy']:.3f} [{low:.3f}, {high:.3f}]")
    print(f"chance, the most frequent label        {test['chance']:.3f}")
    print(f"accuracy on the codec's reconstruction {test['accuracy_on_reconstruction']:.3f}")
    print(f"same decision on both                  {test['agreement_on_reconstruction']:.3f}")


def print_clips(folder: "LabelledFolder") -> None:
    """How many clips each label has in each split, and what is missing there."""
    from audex_jax.training.card import missing, table_of

    rows = table_of(folder)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        print(f"{first:{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)))
    print(f"split by {folder.split_by}", flush=True)
    for warning in missing(folder):
        print(f"audex train: warning: {warning}", file=sys.stderr)


def print_rungs(rungs: "Sequence[Rung]", chosen: "Rung") -> None:
    """How the classifiers that were compared did in validation."""
    width = max(len(rung.family) for rung in rungs)
    print("classifiers, by validation loss:")
    for rung in rungs:
        figures = f"loss {rung.loss:.3f}, accuracy {rung.accuracy:.3f}"
        said = f"not tried: {rung.why}" if rung.classifier is None else figures
        print(f"  {rung.family:{width}}  {said}{'  <- chosen' if rung is chosen else ''}")
