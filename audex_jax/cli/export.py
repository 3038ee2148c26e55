"""`audex export`: a codec bundle to the layout of Hugging Face."""

import argparse

TEXT = """
Writes model.safetensors, config.json and preprocessor_config.json, which PyTorch users load with `from_pretrained` of
the class that the command names, for instance

  transformers.EncodecModel.from_pretrained("DST")

example:
  audex export my-codec my-codec-hf
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex export` to its parser."""
    parser.epilog = TEXT
    parser.add_argument("codec", metavar="NAME|DIR", help="codec bundle, or name of a bundled model")
    parser.add_argument("out", metavar="DST", help="new folder to write")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex export`; the exit code."""
    from audex_jax.bundles import open_codec
    from weights_conversion import export_codec

    codec = open_codec(arguments.codec)
    loads = export_codec(codec, arguments.out)
    print(f"{arguments.out}: {codec.config.name} for transformers.{loads}.from_pretrained")
    return 0
