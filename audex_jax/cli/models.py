"""`audex models`: which bundles there are, what their cards say, and which published codecs can be converted."""

import argparse
import pathlib
from collections.abc import Iterator

from audex_jax.io.files import json_text

MOST = 20  # labels that a description names

EXAMPLE = """
Without a name: the models that come with the package, and bundles in the current folder. With the name or the folder
of a model: what it is and how good, in about ten lines; --json prints all that its bundle says. With --published:
codecs of other makers that `audex convert` brings in, with the licence of their weights.

examples:
  audex models
  audex models --published
  audex models mini-speech-commands
  audex models my-explainer --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex models` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("model", nargs="?", metavar="NAME|DIR", help="describe this model")
    parser.add_argument("--published", action="store_true", help="list published codecs that can be converted")
    parser.add_argument("--json", action="store_true", help="print each bundle.json as a line of JSON")


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
        if arguments.json:
            print(json_text({"path": str(folder), **description}))
        else:
            print("\n".join(described(folder, description)))
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


def described(folder: pathlib.Path, description: dict) -> Iterator[str]:
    """A bundle in about ten lines."""
    codec, origin = description["codec"], description.get("origin", {})
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
    yield f"{folder.name}: {'explainer' if 'classifier' in description else 'codec'}, {size:.1f} MB, in {folder}"
    yield f"codec       {codec.get('name', codec['family'])} ({codec['family']}), {codec['sample_rate']} Hz"
    if "classifier" in description:
        labels = description["labels"]
        yield f"classifier  {description['classifier']['family']}, clips of {description['clip_seconds']:g} s"
        more = f", and {len(labels) - MOST} more" if len(labels) > MOST else ""
        yield f"labels      {len(labels)}: {', '.join(labels[:MOST])}{more}"
    if "mask_network" in description:
        yield "network     for --ranking amortised"
    test = origin.get("test", {})
    if "accuracy" in test:
        again = test.get("accuracy_on_reconstruction")
        decoded = "" if again is None else f", {again:.3f} on the codec's reconstruction"
        yield f"accuracy    {test['accuracy']:.3f} on {test.get('clips', '?')} test clips{decoded}"
    if "split_by" in origin:
        yield f"split by    {origin['split_by']}"
    yield f"made by     {origin.get('made_by', 'not said')}"
    for warning in description.get("warnings", []):
        yield f"WARNING     {warning}"
    card = folder / "README.md"
    yield f"card        {card}" if card.exists() else "card        none"
    yield f"everything  audex models {folder.name} --json"


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
