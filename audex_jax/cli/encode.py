"""`audex encode`: a recording to codes in an .npz file."""

import argparse

TEXT = """
The .npz file holds, beside what `audex decode` needs to know:
  codes       [frames, codebooks], the index of the entry chosen in each codebook
  scales      loudness taken out of each segment (ones where the codec does not normalise)
  bounds      first frame of each segment, and the number of frames at the end

example:
  audex encode speech.wav --codec my-codec --bandwidth 6 --out speech.npz
  audex decode speech.npz --codec my-codec --out speech-again.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex encode` to its parser."""
    from audex_jax.cli.options import add_codec

    parser.epilog = TEXT
    parser.add_argument("input", metavar="INPUT", help="recording: WAV, FLAC, OGG, MP3, ... at any sample rate")
    add_codec(parser)
    parser.add_argument(
        "--bandwidth", type=float, required=True, metavar="KBPS", help="bit rate in kilobits per second"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="codes to write, .npz")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex encode`; the exit code."""
    import jax.numpy as jnp

    from audex_jax.cli.bundles import codec_with_codes, recording, require_suffix
    from audex_jax.io import codes

    require_suffix(arguments.out, (".npz",), inputs=[arguments.input])
    codec = codec_with_codes(arguments.codec)
    samples = recording(arguments.input, codec)
    coded = codec.encode_codes(jnp.asarray(samples), arguments.bandwidth)
    codes.save(arguments.out, coded)
    frames, stages = coded.codes.shape
    print(f"{arguments.out}: {frames} frames x {stages} codebooks, {arguments.bandwidth:g} kbps")
    return 0
