"""`audex train-explainer`: train the network that explains a model in one forward pass (`--ranking amortised`)."""

import argparse
import dataclasses
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from audex_jax.explain.explainer import Explainer

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label, as for audex train; its training split is used, and
its validation split tells what the network reaches. The labels of the folders are not used: the network learns what
the model says, not what is right.

The result is the same model with a network beside it, for --ranking amortised of audex explain, batch and evaluate.
A network whose explanations are no better than the loudest elements is not written. The same command after a kill goes
on where it was.

examples:
  audex train-explainer recordings --model my-explainer --out my-fast-explainer
  audex explain yes.wav --model my-fast-explainer --ranking amortised --out explained
"""

COMPARED = ("amortised", "magnitude")
TESTED = 64  # clips of the validation split, at most


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex train-explainer` to its parser."""
    from audex_jax.cli.options import MODEL, add_options
    from audex_jax.training.recipes import MaskRecipe

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of labelled recordings")
    parser.add_argument("--model", default=MODEL, metavar="NAME|DIR", help=f"explainer bundle (default: {MODEL})")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the bundle with the network")
    parser.add_argument("--float16", action="store_true", help="store the weights in float16")
    parser.add_argument("--quiet", action="store_true", help="hide progress")
    add_options(parser, MaskRecipe, group="recipe")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex train-explainer`; the exit code."""
    import numpy as np

    from audex_jax.bundles import bundle_path, digest_of, load_explainer, read_description, save_explainer
    from audex_jax.cli.options import read_options
    from audex_jax.cli.train import scratch_of
    from audex_jax.core.errors import AudexError
    from audex_jax.data.clips import read_clips
    from audex_jax.data.folder import DataError, read_folder
    from audex_jax.devices.cpu import use_each_core_as_a_device
    from audex_jax.explain.explainer import Explainer
    from audex_jax.io.progress import COMPILING, Bar
    from audex_jax.training.mask_network import train_mask_network
    from audex_jax.training.recipes import MaskRecipe

    recipe = read_options(MaskRecipe, arguments)
    use_each_core_as_a_device()
    explainer = load_explainer(arguments.model)
    folder, out = read_folder(arguments.data), pathlib.Path(arguments.out)
    clips = {}
    for split in ("train", "val"):
        files = folder.split(split)
        files = files[:: max(1, len(files) // TESTED)][:TESTED] if split == "val" else files  # of all labels
        if not files:
            raise DataError(f"{arguments.data}: no clips in the {split} split ({folder.split_by}); add some")
        recordings = read_clips([file.path for file in files], explainer.sample_rate, quiet=arguments.quiet)
        clips[split] = [recording[: explainer.clip_samples] for recording in recordings]
    audio, lengths = explainer.pad(clips["train"])
    with Bar("training the explainer", recipe.steps, arguments.quiet, COMPILING) as bar:

        def report(step: int, parts: dict[str, float]) -> None:
            bar.update(step, "  ".join(f"{name} {value:.3f}" for name, value in parts.items()))

        place = (recipe, scratch_of(out), report)
        network = train_mask_network(explainer.model, len(explainer.labels), audio, lengths, *place)
    model = explainer.model._replace(mask_network=network)
    explainer = Explainer(model, explainer.labels, explainer.clip_seconds, explainer.warnings)
    found = {name: measured(explainer, clips["val"], name) for name in COMPARED}
    print_found(found)
    scores = [figures["keep"] + figures["delete"] for figures in found.values()]
    if scores[0] <= scores[1]:
        raise AudexError(
            f"{out}: not written: on {len(clips['val'])} validation clips the network's explanations are no better "
            "than the loudest elements; use the default ranking, or train it on more recordings"
        )
    origin = read_description(bundle_path(arguments.model))["origin"] | {
        "mask_network": {
            "made_by": "audex train-explainer",
            "recipe": dataclasses.asdict(recipe),
            "clips": len(audio),
            "val": found,
            "weights": digest_of(network),
        }
    }
    card = bundle_path(arguments.model) / "README.md"
    text = card.read_text("utf-8") if card.exists() else None
    save_explainer(out, explainer, origin, np.float16 if arguments.float16 else np.float32, text)
    print(f"{out}: explainer with a network for --ranking amortised, trained on {len(audio)} clips")
    return 0


def measured(explainer: "Explainer", clips: "list[np.ndarray]", ranking: str) -> dict[str, float]:
    """How often explanations of validation clips hold, and wrong targets are heard or found absent."""
    import numpy as np

    from audex_jax.core.settings import ONE_GRADIENT, Settings
    from audex_jax.evaluation.blocks import explain_all

    settings = Settings(ranking=ranking, method=ONE_GRADIENT)
    found = list(explain_all(explainer, clips, settings, control=True))
    return {
        "clips": len(found),
        "keep": float(np.mean([e.sufficient for e in found])),
        "delete": float(np.mean([e.necessary for e in found])),
        "keep_shifted": float(np.mean([e.sufficient_shifted for e in found])),
        "delete_shifted": float(np.mean([e.necessary_shifted for e in found])),
        "wrong": float(np.mean([e.control_heard or False for e in found])),
    }


def print_found(found: dict[str, dict[str, float]]) -> None:
    """A table of what was measured, one line a ranking."""
    rows = [["ranking", *next(iter(found.values()))]]
    rows += [[name, *(f"{value:.3g}" for value in figures.values())] for name, figures in found.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
