"""`audex train`: train a classifier on the latents or the sounds of a codec, or several apart from one another."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from audex_jax.data.folder import LabelledFolder
    from audex_jax.io.tensorboard import RunLog
    from audex_jax.training.recipes import ClassifierRecipe
    from audex_jax.training.task import Task

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, and an optional splits.csv with the columns
file,label,speaker,split. Without it the recordings are split here, by speaker if the file names tell one.
What classifiers read is computed once and kept in OUT.training; the same command after a kill goes on where it was.

An explanation should mean something to classifiers that had no part in it, too. --strangers K trains K of them, apart
from one another and from any other: OUT/1-transformer, OUT/2-conv, OUT/3-log-mel and so on, each from another seed and
each an explainer bundle. Those that are there already are left as they are.

examples:
  audex train recordings --codec mini-speech-commands --out my-explainer
  audex train recordings --codec mdct:16000 --out my-explainer
  audex train recordings --codec mini-speech-commands --strangers 3 --out strangers
  audex evaluate recordings --model my-explainer --strangers strangers --out fidelity
"""

STRANGERS = ("transformer", "conv", "log-mel")  # families of strangers, in turn

LONGEST = 5.0  # seconds of a clip, unless asked otherwise

TEST_FIGURES = ("accuracy", "accuracy_on_reconstruction", "agreement_on_reconstruction")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex train` to its parser."""
    from audex_jax.cli.options import add_codec, add_options, positive
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.training.recipes import ClassifierRecipe

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings")
    add_codec(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write the explainer bundle")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--classifier",
        default="transformer",
        choices=CLASSIFIERS.names(),
        metavar="NAME",
        help=f"its family; one of {', '.join(CLASSIFIERS.names())} (default: transformer)",
    )
    which.add_argument("--strangers", type=positive, metavar="K", help="train K classifiers apart, in folders of DIR")
    parser.add_argument("--start", metavar="DIR", help="explainer bundle whose classifier to train on")
    parser.add_argument("--labels", metavar="A,B,...", help="use only these labels (default: all)")
    parser.add_argument(
        "--clip-seconds", type=float, help="clips are cut or padded to this (default: the longest, at most 5)"
    )
    parser.add_argument(
        "--bandwidth", type=float, metavar="KBPS", help="read the quantised latent (default: continuous)"
    )
    parser.add_argument(
        "--width", type=positive, metavar="N", help="of the classifier (default: its family's, of the transformer 256)"
    )
    parser.add_argument(
        "--companding",
        type=float,
        default=0.0,
        metavar="C",
        help="let one of latents read asinh(C * latent) (default: the latent)",
    )
    parser.add_argument(
        "--shuffle-labels", action="store_true", help="train on labels drawn by chance: a rival for sanity tests"
    )
    parser.add_argument("--float16", action="store_true", help="store the weights in half precision")
    parser.add_argument(
        "--tensorboard", metavar="DIR", help="log losses, accuracies and the confusion matrix for TensorBoard there"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
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
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.io.tensorboard import RunLog
    from audex_jax.training.recipes import ClassifierRecipe
    from audex_jax.training.task import Task

    if arguments.strangers and arguments.start:
        raise UsageError("--start: strangers are trained apart from all others; leave it out")
    if arguments.clip_seconds is not None and not 0.01 <= arguments.clip_seconds <= 600:
        raise UsageError(f"--clip-seconds {arguments.clip_seconds:g}: give 0.01 to 600")
    recipe = read_options(ClassifierRecipe, arguments)
    jobs = jobs_of(arguments, recipe)
    logs = [RunLog(job.log) for job in jobs]  # says now if it cannot
    codec = at_bandwidth(open_codec(arguments.codec), arguments.bandwidth)
    folder = labelled_folder(arguments)
    samples = round((arguments.clip_seconds or longest(folder)) * codec.sample_rate)
    kinds = tuple(sorted({CLASSIFIERS[job.family].reads for job in jobs}))
    seconds, scratch = samples / codec.sample_rate, scratch_of(pathlib.Path(arguments.out))
    task = Task(codec, folder, seconds, scratch, kinds, recipe.variants, recipe.seed, arguments.quiet)
    for job, log in zip(jobs, logs, strict=True):
        if arguments.strangers and finished(job, folder.labels):
            print(f"{job.out}: was trained before")
        else:
            with log:
                train(task, job, arguments, log)
    return 0


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


def finished(job: Job, labels: tuple[str, ...]) -> bool:
    """Is the job's bundle there?

    Raises:
        UsageError: it is, but was trained for other labels or by another recipe.
    """
    from audex_jax.bundles import read_description
    from audex_jax.cli import UsageError

    if not (job.out / "bundle.json").exists():
        return False
    found = read_description(job.out)
    if (found.get("labels"), found["origin"].get("recipe")) != (list(labels), dataclasses.asdict(job.recipe)):
        raise UsageError(f"{job.out}: trained for other labels or by another recipe; choose another --out")
    return True


def train(task: "Task", job: Job, arguments: argparse.Namespace, log: "RunLog") -> None:
    """Train one classifier, write its bundle and print what it reaches."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.bundles import load_explainer, save_explainer
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import origin_of
    from audex_jax.core.registry import CLASSIFIERS
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.model import Model
    from audex_jax.io.progress import Bar
    from audex_jax.report.figure import confusion_figure
    from audex_jax.training.classifier import predict, train_classifier

    family, folder, labels = CLASSIFIERS[job.family], task.folder, task.folder.labels
    config = task.config(family, width=arguments.width, companding=arguments.companding)
    start = None if arguments.start is None else load_explainer(arguments.start)
    if start is not None and (start.model.classifier.config != config or start.labels != labels):
        raise UsageError(f"--start: {arguments.start} has other labels or another shape than asked for here")
    train, val = task.inputs("train", family.reads), task.inputs("val", family.reads, 1).variant(0)
    if arguments.shuffle_labels:
        chance = np.random.default_rng(job.recipe.seed)
        train, val = (part._replace(labels=chance.permutation(part.labels)) for part in (train, val))
    with Bar(f"training {job.family}", job.recipe.epochs, arguments.quiet) as bar:

        def report(epoch: int, loss: float, accuracy: float) -> None:
            bar.update(epoch, f"loss {loss:.3f}  validation accuracy {accuracy:.3f}")
            log.scalars(epoch, {"train/loss": loss, "validation/accuracy": accuracy})

        first = None if start is None else start.model.classifier
        classifier = train_classifier(family, config, job.recipe, train, val, job.state, report, start=first)
    del train
    plain = task.plain_latents()
    mean = plain.values[plain.valid].mean(0)
    dtype = np.float16 if arguments.float16 else np.float32
    model = Model(task.codec, classifier, jnp.asarray(mean))
    model = jax.tree.map(lambda a: a.astype(dtype).astype(a.dtype), model)  # as it will be read back
    test = task.inputs("test", family.reads, 2)
    original, decoded = (predict(model.classifier, test.variant(i)) for i in range(2))
    origin = {
        "made_by": "audex train",
        "codec": origin_of(arguments.codec),
        "recipe": dataclasses.asdict(job.recipe),
        "started_from": arguments.start and origin_of(arguments.start),
        "labels_shuffled": arguments.shuffle_labels,
        "clips": {name: len(folder.split(name)) for name in ("train", "val", "test")},
        "split_by": folder.split_by,
        "test": figures(test.labels, original, decoded, config.classes),
    }
    save_explainer(job.out, Explainer(model, labels, task.clip_seconds), origin, dtype)
    log.scalars(0, {f"test/{name}": origin["test"][name] for name in TEST_FIGURES})
    log.figure("test/confusion", 0, confusion_figure(np.array(origin["test"]["confusion"]), labels))
    print_report(labels, origin["test"], folder.split_by)
    print(f"{job.out}: explainer with {len(labels)} labels, clips of {task.clip_seconds:g} s", flush=True)


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


def figures(labels: "np.ndarray", original: "np.ndarray", decoded: "np.ndarray", classes: int) -> dict[str, Any]:
    """How often predictions of the recordings and of their reconstructions are right, `[clips]` each."""
    import numpy as np

    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, original), 1)
    return {
        "clips": len(original),
        "accuracy": float((original == labels).mean()),
        "accuracy_on_reconstruction": float((decoded == labels).mean()),
        "agreement_on_reconstruction": float((decoded == original).mean()),
        "confusion": confusion.tolist(),
    }


def print_report(labels: tuple[str, ...], test: dict, split_by: str) -> None:
    """The confusion matrix (rows: label, columns: prediction) and the figures of the test split."""
    width = max(map(len, labels))
    print(" " * width, *(f"{label[:4]:>4}" for label in labels))
    for label, row in zip(labels, test["confusion"], strict=True):
        print(f"{label:>{width}}", *(f"{count or '.':>4}" for count in row))
    print(f"split by {split_by}; {test['clips']} test clips")
    print(f"accuracy on the original audio        {test['accuracy']:.3f}")
    print(f"accuracy on the codec's reconstruction {test['accuracy_on_reconstruction']:.3f}")
    print(f"agreement of the two                   {test['agreement_on_reconstruction']:.3f}")
