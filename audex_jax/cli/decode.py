"""`audex decode`: codes in an .npz file to a recording."""

import argparse

TEXT = """
example:
  audex decode speech.npz --codec my-codec --out speech-again.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex decode` to its parser."""
    parser.epilog = TEXT
    parser.add_argument("input", metavar="CODES", help=".npz file that `audex encode` wrote")
    parser.add_argument("--codec", required=True, metavar="NAME|DIR", help="the codec that the codes were made with")
    parser.add_argument("--out", required=True, metavar="FILE", help="recording to write, .wav or .flac")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex decode`; the exit code."""
    from audex_jax.cli.bundles import codec_with_codes, require_suffix
    from audex_jax.core.level import gain_words, within
    from audex_jax.io import audio, codes

    require_suffix(arguments.out, (".wav", ".flac"), inputs=[arguments.input])
    coded = codes.load(arguments.input)
    codec = codec_with_codes(arguments.codec)
    samples, gain = within(codec.decode_codes(coded))
    audio.write_audio(arguments.out, samples, codec.sample_rate)
    print(f"{arguments.out}: {len(samples) / codec.sample_rate:.2f} s" + gain_words(gain))
    return 0
