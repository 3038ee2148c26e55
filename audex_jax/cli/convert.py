"""`audex convert`: published EnCodec weights to a codec bundle."""

import argparse

TEXT = """
SRC is what you have of a published EnCodec:
  encodec_24khz-d7cc33bc.th        Meta's original file
  compression_state_dict.bin       audiocraft's (MusicGen, AudioGen), its config inside
  model.safetensors, folder/       Hugging Face's, with config.json beside it
  facebook/encodec_24khz           an id on the Hugging Face hub (needs: pip install 'audex-jax[hub]')
.safetensors files need no PyTorch; .th, .pt and .bin files are read by PyTorch, and only if they hold nothing but
tensors. Every tensor must find its place and every weight its tensor: else nothing is written and all faults are
listed.

examples:
  audex convert encodec_24khz-d7cc33bc.th codec-24khz
  audex convert facebook/encodec_48khz codec-48khz
then:
  audex reconstruct speech.wav --codec codec-24khz --bandwidth 6 --out kept.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = TEXT
    parser.add_argument("source", metavar="SRC", help="checkpoint file, folder or hub id")
    parser.add_argument("out", metavar="DST", help="folder of the bundle to write; an older bundle there is replaced")
    parser.add_argument(
        "--model",
        default="auto",
        choices=["auto", "encodec-24khz", "encodec-32khz", "encodec-48khz", "audiogen-16khz"],
        help="which published model SRC is (default: auto, from its config or else from its tensors)",
    )
    parser.add_argument("--revision", help="commit, tag or branch of a hub id (default: the pinned or newest one)")


def run(arguments: argparse.Namespace) -> int:
    from audex_jax.checkpoint import save_codec
    from weights_conversion import convert_codec, read

    source = read(arguments.source, arguments.revision)
    codec = convert_codec(source, arguments.model)
    save_codec(arguments.out, codec, {"made_by": "audex convert", **source.origin})
    config = codec.config
    print(
        f"{arguments.out}: codec {config.name}, {config.sample_rate} Hz, {config.channels} channel(s), "
        f"{config.frame_rate:g} frames of {config.dim} numbers a second, "
        f"bandwidths {', '.join(f'{b:g}' for b in config.bandwidths)} kbps"
    )
    return 0
