"""`audex models`: which bundles there are, what their cards say, and which published codecs can be converted."""

import argparse
import pathlib
from collections.abc import Iterator

from audex_jax.io.files import json_text

EXAMPLE = """
Without a name: the models that come with the package, and bundles in the current folder. With the name or the folder
of a model: its card. With --published: codecs of other makers that `audex convert` brings in, with the licence of their
weights.

examples:
  audex models
  audex models --published
  audex models mini-speech-commands
  audex models my-explainer --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex models` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", nargs="?", metavar="NAME|DIR", help="show the card of this one")
    parser.add_argument("--published", action="store_true", help="list published codecs that can be converted")
    parser.add_argument("--json", action="store_true", help="print descriptions as JSON lines instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex models`; the exit code."""
    from audex_jax.bundles import bundle_path, read_description

    if arguments.published:
        for line in convertible():
            print(json_text(line) if arguments.json else "{name:20} {text}, {licence}: {source}".format(**line))
        return 0
    if arguments.model is not None:
        folder = bundle_path(arguments.model)
        description = read_description(folder)
        card = folder / "README.md"
        if arguments.json:
            print(json_text({"path": str(folder), **description}))
        elif card.exists():
            print(card.read_text(encoding="utf-8").rstrip())
        else:
            print(f"{folder}: {summary(description)}\nIt has no card (README.md). Where it comes from:")
            print(json_text(description.get("origin", {}), indent=2))
        return 0
    for folder in [*bundled(), *local(pathlib.Path())]:
        description = read_description(folder)
        name = folder.name
        if arguments.json:
            print(json_text({"name": name, "path": str(folder), **description}))
        else:
            size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
            print(f"{name:24} {summary(description)}, {size:.1f} MB")
    return 0


def convertible() -> Iterator[dict]:
    """Published codecs: name, shape in words, licence of the weights, and where they are."""
    from flax import nnx

    from weights_conversion import families

    for family in families().values():
        for model in family.published:
            codec = nnx.eval_shape(lambda: family.codec(model.config, rngs=None))  # noqa: B023
            rate = codec.sample_rate / codec.hop
            text = f"{codec.sample_rate} Hz, {rate:.4g} frames of {codec.dim} numbers a second"
            yield {"name": model.config.name, "text": text, "licence": model.licence, "source": model.source}


def bundled() -> list[pathlib.Path]:
    """Folders of the models that come with the package."""
    import audex_jax

    return sorted(path.parent for path in (pathlib.Path(audex_jax.__file__).parent / "models").glob("*/bundle.json"))


def local(folder: pathlib.Path) -> list[pathlib.Path]:
    """Folders of bundles right below `folder`."""
    return sorted(path.parent for path in folder.glob("*/bundle.json"))


def summary(description: dict) -> str:
    """A bundle in one line."""
    codec = description["codec"]
    text = f"codec {codec.get('name', codec['family'])}, {codec['sample_rate']} Hz"
    if "classifier" not in description:
        return text
    accuracy = description.get("origin", {}).get("test", {}).get("accuracy")
    measured = "" if accuracy is None else f", accuracy {accuracy:.2f} on its test clips"
    labels, seconds = len(description["labels"]), description["clip_seconds"]
    return f"explainer for {labels} labels, clips of {seconds:g} s, {text}{measured}"
