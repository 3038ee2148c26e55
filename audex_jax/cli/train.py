"""`audex train`: train a classifier on the latents of a codec."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audex_jax.io.tensorboard import RunLog

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, and an optional splits.csv with the columns
file,label,speaker,split. Without it the recordings are split here, by speaker if the file names tell one.
Latents are computed once and kept in OUT.training; the same command after a kill goes on where it was.

example:
  audex train recordings --codec mini-speech-commands --out my-explainer
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
    import soundfile

    from audex_jax import bundles
    from audex_jax.classifiers.transformer import TransformerConfig
    from audex_jax.cli import UsageError
    from audex_jax.cli.options import read_options
    from audex_jax.data.folder import DataError, read_folder
    from audex_jax.explain.explainer import Explainer, bundle_path, load_explainer, save_explainer
    from audex_jax.explain.step import Model
    from audex_jax.io.audio import file_name
    from audex_jax.io.progress import Bar
    from audex_jax.report.figure import confusion_figure
    from audex_jax.training.classifier import predict, train_classifier
    from audex_jax.training.latents import cached_latents
    from audex_jax.training.recipes import ClassifierRecipe

    codec = bundles.load_codec(bundle_path(arguments.codec))
    wanted = None if arguments.labels is None else tuple(arguments.labels.split(","))
    folder = read_folder(arguments.data, wanted)
    if len(folder.labels) < 2:
        raise DataError(f"{arguments.data}: only the label {', '.join(folder.labels)}; a classifier needs at least two")
    for name in ("train", "val", "test"):
        if not folder.split(name):
            raise DataError(f"{arguments.data}: no clips in the {name} split ({folder.split_by}); add some")
    if arguments.bandwidth is not None:
        codec.config.codebooks_for(arguments.bandwidth)
    seconds = arguments.clip_seconds
    if seconds is None:
        lengths = [soundfile.info(file_name(clip.path)).duration for clip in folder.split("train")]
        seconds = min(5.0, max(lengths))
    samples = round(seconds * codec.config.sample_rate)
    seconds = samples / codec.config.sample_rate

    recipe = read_options(ClassifierRecipe, arguments)
    out = pathlib.Path(arguments.out)
    scratch = out.with_name(out.name + ".training")

    def latents(split: str, variants: range):
        return cached_latents(
            codec,
            folder.split(split),
            folder.labels,
            seconds,
            arguments.bandwidth,
            variants,
            recipe.seed,
            scratch,
            split,
            arguments.quiet,
        )

    train, val, test = latents("train", range(recipe.variants)), latents("val", range(1)), latents("test", range(2))
    if arguments.shuffle_labels:
        chance = np.random.default_rng(recipe.seed)
        train, val = ((*part[:2], chance.permutation(part[2])) for part in (train, val))
    frames = codec.config.frames(samples)
    config = TransformerConfig(
        codec.config.dim, len(folder.labels), frames, width=arguments.width, companding=arguments.companding
    )
    start = None if arguments.start is None else load_explainer(arguments.start)
    if start is not None and (start.weights.classifier.config != config or start.labels != folder.labels):
        raise UsageError(f"--start: {arguments.start} has other labels or another shape than asked for here")
    with Bar("training the classifier", recipe.epochs, arguments.quiet) as bar:

        def report(epoch: int, loss: float, accuracy: float) -> None:
            bar.update(epoch, f"loss {loss:.3f}  validation accuracy {accuracy:.3f}")
            log.scalars(epoch, {"train/loss": loss, "validation/accuracy": accuracy})

        classifier = train_classifier(
            config,
            recipe,
            train,
            (val[0][:, 0], val[1][:, 0], val[2]),
            scratch,
            report,
            start=None if start is None else start.weights.classifier,
        )
    clean, valid, _ = train
    own = clean[:, 0][valid[:, 0]]
    dtype = np.float16 if arguments.float16 else np.float32
    weights = Model(codec, classifier, jnp.asarray(own.mean(0)))
    weights = jax.tree.map(lambda a: a.astype(dtype).astype(a.dtype), weights)  # as they will be read back
    explainer = Explainer(weights, folder.labels, seconds, arguments.bandwidth)
    original = predict(weights.classifier, test[0][:, 0], test[1][:, 0])
    decoded = predict(weights.classifier, test[0][:, 1], test[1][:, 1])
    confusion = np.zeros((config.classes, config.classes), int)
    np.add.at(confusion, (test[2], original), 1)
    origin = {
        "made_by": "audex train",
        "codec": bundles.read_description(bundle_path(arguments.codec)).get("origin"),
        "recipe": dataclasses.asdict(recipe),
        "started_from": bundles.read_description(bundle_path(arguments.start))["origin"] if arguments.start else None,
        "labels_shuffled": arguments.shuffle_labels,
        "clips": {name: len(folder.split(name)) for name in ("train", "val", "test")},
        "split_by": folder.split_by,
        "test": {
            "clips": len(original),
            "accuracy": float((original == test[2]).mean()),
            "accuracy_on_reconstruction": float((decoded == test[2]).mean()),
            "agreement_on_reconstruction": float((decoded == original).mean()),
            "confusion": confusion.tolist(),
        },
    }
    save_explainer(out, explainer, origin, dtype)
    log.scalars(0, {f"test/{name}": origin["test"][name] for name in TEST_FIGURES})
    log.figure("test/confusion", 0, confusion_figure(confusion, folder.labels))
    print_report(folder.labels, origin["test"], folder.split_by)
    print(f"{out}: explainer with {len(folder.labels)} labels, clips of {seconds:g} s")
    return 0


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
