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
    from audex_jax.cli.options import add_codec

    parser.epilog = TEXT
    parser.add_argument("input", metavar="INPUT", help="recording: WAV, FLAC, OGG, MP3, ... at any sample rate")
    add_codec(parser)
    parser.add_argument(
        "--bandwidth", type=float, metavar="KBPS", help="bit rate in kilobits per second (default: not quantised)"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="recording to write, .wav or .flac")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex reconstruct`; the exit code."""
    import jax.numpy as jnp
    import numpy as np

    from audex_jax.bundles import open_codec
    from audex_jax.cli.bundles import at_bandwidth, recording, require_suffix
    from audex_jax.core.level import gain_words, within
    from audex_jax.io import audio

    require_suffix(arguments.out, (".wav", ".flac"), inputs=[arguments.input])
    codec = at_bandwidth(open_codec(arguments.codec), arguments.bandwidth)
    samples = recording(arguments.input, codec)
    clip = jnp.asarray(samples)[None]
    if hasattr(codec, "reconstruct"):
        kept = codec.reconstruct(clip)
    else:
        kept = codec.decode(codec.encode(clip, jnp.array([len(samples)])), len(samples))
    kept = np.asarray(kept[0])
    sound, gain = within(kept)
    audio.write_audio(arguments.out, sound, codec.sample_rate)
    error = np.square(samples - kept).sum()
    ratio = 10 * np.log10(max(float(np.square(samples).sum()), 1e-20) / max(float(error), 1e-20))
    rate = "continuous latent" if arguments.bandwidth is None else f"{arguments.bandwidth:g} kbps"
    said = f"{len(samples) / codec.sample_rate:.2f} s, {rate}, signal to error {ratio:.1f} dB" + gain_words(gain)
    print(f"{arguments.out}: {said}")
    return 0
