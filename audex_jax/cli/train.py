"""`audex train`: train a classifier on the latents of a codec."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from audex_jax.data.folder import LabelledFolder
    from audex_jax.io.tensorboard import RunLog

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, and an optional splits.csv with the columns
file,label,speaker,split. Without it the recordings are split here, by speaker if the file names tell one.
Latents are computed once and kept in OUT.training; the same command after a kill goes on where it was.

examples:
  audex train recordings --codec mini-speech-commands --out my-explainer
  audex train recordings --codec mdct:16000 --out my-explainer
"""

TEST_FIGURES = ("accuracy", "accuracy_on_reconstruction", "agreement_on_reconstruction")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex train` to its parser."""
    from audex_jax.cli.options import add_codec, add_options
    from audex_jax.training.recipes import ClassifierRecipe

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings")
    add_codec(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where to write the explainer bundle")
    parser.add_argument("--start", metavar="DIR", help="explainer bundle whose classifier to train on")
    parser.add_argument("--labels", metavar="A,B,...", help="use only these labels (default: all)")
    parser.add_argument(
        "--clip-seconds", type=float, help="clips are cut or padded to this (default: the longest, at most 5)"
    )
    parser.add_argument(
        "--bandwidth", type=float, metavar="KBPS", help="read the quantised latent (default: continuous)"
    )
    parser.add_argument("--width", type=int, default=256, help="of the transformer (default: 256, the published one)")
    parser.add_argument(
        "--companding", type=float, default=0.0, metavar="C", help="let it read asinh(C * latent) (default: the latent)"
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


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex train`; the exit code."""
    from audex_jax.io.tensorboard import RunLog

    with RunLog(arguments.tensorboard) as log:
        return train_logged(arguments, log)


def train_logged(arguments: argparse.Namespace, log: "RunLog") -> int:
    """Train, telling `log`; the exit code."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.bundles import load_explainer, open_codec, save_explainer
    from audex_jax.classifiers.transformer import TransformerConfig
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import at_bandwidth, origin_of
    from audex_jax.cli.options import read_options
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.model import Model
    from audex_jax.io.progress import Bar
    from audex_jax.report.figure import confusion_figure
    from audex_jax.training.classifier import predict, train_classifier
    from audex_jax.training.latents import cached_latents
    from audex_jax.training.recipes import ClassifierRecipe

    recipe = read_options(ClassifierRecipe, arguments)
    codec = at_bandwidth(open_codec(arguments.codec), arguments.bandwidth)
    folder = labelled_folder(arguments)
    samples = round((arguments.clip_seconds or longest(folder)) * codec.sample_rate)
    seconds = samples / codec.sample_rate
    out = pathlib.Path(arguments.out)
    scratch = out.with_name(out.name + ".training")

    def latents(split: str, variants: int):
        clips = folder.split(split)
        place = {"directory": scratch, "name": split, "quiet": arguments.quiet}
        return cached_latents(codec, clips, folder.labels, seconds, range(variants), recipe.seed, **place)

    train, val, test = latents("train", recipe.variants), latents("val", 1), latents("test", 2)
    if arguments.shuffle_labels:
        chance = np.random.default_rng(recipe.seed)
        train, val = ((*part[:2], chance.permutation(part[2])) for part in (train, val))
    shape = {"width": arguments.width, "companding": arguments.companding}
    config = TransformerConfig(codec.dim, len(folder.labels), codec.frames(samples), **shape)
    start = None if arguments.start is None else load_explainer(arguments.start)
    if start is not None and (start.model.classifier.config != config or start.labels != folder.labels):
        raise UsageError(f"--start: {arguments.start} has other labels or another shape than asked for here")
    with Bar("training the classifier", recipe.epochs, arguments.quiet) as bar:

        def report(epoch: int, loss: float, accuracy: float) -> None:
            bar.update(epoch, f"loss {loss:.3f}  validation accuracy {accuracy:.3f}")
            log.scalars(epoch, {"train/loss": loss, "validation/accuracy": accuracy})

        first = None if start is None else start.model.classifier
        own = (val[0][:, 0], val[1][:, 0], val[2])
        classifier = train_classifier(config, recipe, train, own, scratch, report, start=first)
    mean = train[0][:, 0][train[1][:, 0]].mean(0)
    dtype = np.float16 if arguments.float16 else np.float32
    model = Model(codec, classifier, jnp.asarray(mean))
    model = jax.tree.map(lambda a: a.astype(dtype).astype(a.dtype), model)  # as it will be read back
    original, decoded = (predict(model.classifier, test[0][:, i], test[1][:, i]) for i in range(2))
    origin = {
        "made_by": "audex train",
        "codec": origin_of(arguments.codec),
        "recipe": dataclasses.asdict(recipe),
        "started_from": arguments.start and origin_of(arguments.start),
        "labels_shuffled": arguments.shuffle_labels,
        "clips": {name: len(folder.split(name)) for name in ("train", "val", "test")},
        "split_by": folder.split_by,
        "test": figures(test[2], original, decoded, config.classes),
    }
    save_explainer(out, Explainer(model, folder.labels, seconds), origin, dtype)
    log.scalars(0, {f"test/{name}": origin["test"][name] for name in TEST_FIGURES})
    log.figure("test/confusion", 0, confusion_figure(np.array(origin["test"]["confusion"]), folder.labels))
    print_report(folder.labels, origin["test"], folder.split_by)
    print(f"{out}: explainer with {len(folder.labels)} labels, clips of {seconds:g} s")
    return 0


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
    """Seconds of the longest recording to train on, at most 5."""
    import soundfile

    from audex_jax.io.audio import file_name

    return min(5.0, max(soundfile.info(file_name(clip.path)).duration for clip in folder.split("train")))


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
