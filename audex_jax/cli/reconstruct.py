"""`audex reconstruct`: hear what a codec keeps of a recording."""

import argparse

TEXT = """
Encodes the recording and decodes it again: what you hear is all that a classifier on this codec can know of it.
Without --bandwidth the latent stays continuous (the best the codec can do); with it the latent is rounded to codes of
that many kilobits per second.

example:
  audex reconstruct speech.wav --codec my-codec --bandwidth 6 --out kept.wav
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex reconstruct` to its parser."""
    parser.epilog = TEXT
    parser.add_argument("input", metavar="INPUT", help="recording: WAV, FLAC, OGG, MP3, ... at any sample rate")
    parser.add_argument("--codec", required=True, metavar="NAME|DIR", help="codec bundle, or name of a bundled model")
    parser.add_argument("--bandwidth", type=float, metavar="KBPS", help="kilobits per second (default: not quantised)")
    parser.add_argument("--out", required=True, metavar="FILE", help="recording to write, .wav or .flac")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex reconstruct`; the exit code."""
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.cli import bundles
    from audex_jax.codecs.encodec.segments import reconstruct
    from audex_jax.io import audio

    bundles.require_suffix(arguments.out, (".wav", ".flac"))
    codec = bundles.codec(arguments.codec)
    config = codec.config
    samples = bundles.recording(arguments.input, config)
    kept = np.asarray(reconstruct(codec, jnp.asarray(samples)[None], arguments.bandwidth))[0]
    audio.write_audio(arguments.out, kept, config.sample_rate)
    error = np.square(samples - kept).sum()
    ratio = 10 * np.log10(max(float(np.square(samples).sum()), 1e-20) / max(float(error), 1e-20))
    rate = "continuous latent" if arguments.bandwidth is None else f"{arguments.bandwidth:g} kbps"
    print(f"{arguments.out}: {len(samples) / config.sample_rate:.2f} s, {rate}, signal to error {ratio:.1f} dB")
    return 0
