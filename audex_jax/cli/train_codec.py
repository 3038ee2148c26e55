"""`audex train-codec`: train a codec on a folder of recordings."""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from audex_jax.codecs.encodec import Encodec
    from audex_jax.io.tensorboard import RunLog

EXAMPLE = """
DATA is a folder with one sub-folder of recordings for each label (labels are not used here), and an optional
splits.csv; the recordings of the training split are used. The same command after a kill goes on where it was.

example:
  audex train-codec recordings --out my-codec --steps 3000
"""

LISTENED, LISTENED_SECONDS = 3, 2.0  # recordings of the validation split that the log lets hear


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex train-codec` to its parser."""
    from audex_jax.cli.options import add_options
    from audex_jax.training.recipes import CodecRecipe

    parser.epilog = EXAMPLE
    parser.add_argument("data", metavar="DATA", help="folder of recordings")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the codec bundle")
    parser.add_argument("--preset", default="mini", help="architecture of the codec (default: mini, 16 kHz)")
    parser.add_argument(
        "--start", metavar="DIR", help="codec bundle whose weights training starts from (default: random weights)"
    )
    parser.add_argument("--float16", action="store_true", help="store the weights in float16")
    parser.add_argument("--tensorboard", metavar="DIR", help="also write losses and sounds for TensorBoard to DIR")
    parser.add_argument("--quiet", action="store_true", help="hide progress")
    add_options(parser, CodecRecipe, group="recipe")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex train-codec`; the exit code."""
    from audex_jax.io.tensorboard import RunLog

    with RunLog(arguments.tensorboard) as log:
        return train_logged(arguments, log)


def train_logged(arguments: argparse.Namespace, log: "RunLog") -> int:
    """Train, telling `log`; the exit code."""
    import numpy as np

    from audex_jax import bundles
    from audex_jax.cli import UsageError
    from audex_jax.cli.options import read_options
    from audex_jax.codecs.encodec import PRESETS
    from audex_jax.data.clips import read_clips
    from audex_jax.data.folder import DataError, read_folder
    from audex_jax.io.progress import Bar
    from audex_jax.training.codec import train_codec
    from audex_jax.training.recipes import CodecRecipe

    if arguments.preset not in PRESETS:
        raise UsageError(f"no preset {arguments.preset!r}; choose one of {', '.join(PRESETS)}")
    config = PRESETS[arguments.preset]
    start = None if arguments.start is None else bundles.load_codec(arguments.start)
    if start is not None and start.config != config:
        raise UsageError(f"--start: {arguments.start} has another shape than the preset {arguments.preset}")
    recipe = read_options(CodecRecipe, arguments)
    folder = read_folder(arguments.data)
    train = folder.split("train")
    if not train:
        raise DataError(f"{arguments.data}: no clips in the train split ({folder.split_by}); add some")
    clips = read_clips([clip.path for clip in train], config.sample_rate, quiet=arguments.quiet)
    out = pathlib.Path(arguments.out)
    heard = []
    if arguments.tensorboard is not None:
        heard = read_clips([clip.path for clip in (folder.split("val") or train)[:LISTENED]], config.sample_rate, True)
    with Bar("training the codec", recipe.steps, arguments.quiet) as bar:

        def report(step: int, parts: dict[str, float]) -> None:
            bar.update(step, "  ".join(f"{k} {v:.3f}" for k, v in parts.items()))
            log.scalars(step, {f"train/{name}": value for name, value in parts.items()})

        codec = train_codec(
            clips,
            config,
            recipe,
            out.with_name(out.name + ".training"),
            report,
            saved=lambda step, codec: log_sounds(log, step, codec, heard),
            start=start,
        )
    origin = {
        "made_by": "audex train-codec",
        "recipe": dataclasses.asdict(recipe),
        "started_from": bundles.read_description(arguments.start)["origin"] if arguments.start else None,
        "clips": len(clips),
        "split_by": folder.split_by,
    }
    bundles.save_codec(out, codec, origin, np.float16 if arguments.float16 else np.float32)
    print(f"{out}: codec {config.name}, trained on {len(clips)} clips (split by {folder.split_by})")
    return 0


def log_sounds(log: "RunLog", step: int, codec: "Encodec", clips: Sequence["np.ndarray"]) -> None:
    """The first seconds of recordings `[n]`, and what the codec makes of them."""
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.codecs.encodec.segments import reconstruct
    from audex_jax.io.audio import fit_length

    rate, channels = codec.config.sample_rate, codec.config.channels
    for number, clip in enumerate(clips):
        own = fit_length(clip, round(LISTENED_SECONDS * rate))  # of one length: compiled once
        kept = reconstruct(codec, jnp.tile(own[None, :, None], (1, 1, channels)))
        log.sound(f"recording/{number}", step, own, rate)
        log.sound(f"reconstruction/{number}", step, np.asarray(kept[0]), rate)
