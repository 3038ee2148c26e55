"""`audex convert`: published weights to bundles: codecs, and classifiers of EnCodec's latents."""

import argparse

TEXT = """
SRC is what you have of a published codec (`audex models --published` lists them):
  encodec_24khz-d7cc33bc.th        its makers' file, EnCodec's, for instance
  compression_state_dict.bin       audiocraft's (MusicGen, AudioGen), its config inside
  model.safetensors, folder/       Hugging Face's, with config.json beside it
  facebook/encodec_24khz           an id on the Hugging Face hub (needs: pip install 'audex-jax[hub]')
or of a PyTorch classifier of EnCodec's latents, which then becomes an explainer together with the codec:
  SC_transformer.pth               the paper's: linear, positions, nn.TransformerEncoder, mean, linear

.safetensors files need no PyTorch; .th, .pt, .pth and .bin files are read by PyTorch, and only if they hold nothing
but tensors. Every tensor must find its place and every weight its tensor: else nothing is written and all faults are
listed.

examples:
  audex convert encodec_24khz-d7cc33bc.th codec-24khz
  audex convert facebook/encodec_48khz codec-48khz
  audex convert SC_transformer.pth explainer --codec codec-24khz --bandwidth 1.5 --labels words.txt
then:
  audex reconstruct speech.wav --codec codec-24khz --bandwidth 6 --out kept.wav
  audex train recordings --codec codec-24khz --out my-explainer
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex convert` to its parser."""
    parser.epilog = TEXT
    parser.add_argument("source", metavar="SRC", help="checkpoint file, folder or hub id")
    parser.add_argument("out", metavar="DST", help="folder of the bundle to write; an older bundle there is replaced")
    parser.add_argument(
        "--model",
        default="auto",
        metavar="NAME",
        help="published model that SRC is, such as encodec-24khz (default: auto, by its config or its tensors)",
    )
    parser.add_argument("--revision", help="commit, tag or branch of a hub id (default: the pinned or newest one)")
    classifier = parser.add_argument_group("for a classifier")
    classifier.add_argument(
        "--codec", metavar="NAME|DIR", help="bundle of the codec whose latents the classifier reads"
    )
    classifier.add_argument(
        "--bandwidth",
        type=float,
        metavar="KBPS",
        help="bit rate of the quantised latents that the classifier was trained on",
    )
    classifier.add_argument(
        "--continuous", action="store_true", help="the classifier was trained on latents before the quantiser"
    )
    classifier.add_argument("--labels", metavar="FILE", help="text file, one label a line in the classifier's order")
    classifier.add_argument("--heads", type=int, default=8, help="attention heads (default: 8, as published)")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex convert`; the exit code."""
    from audex_jax.bundles import save_codec
    from audex_jax.cli import UsageError
    from weights_conversion import convert_codec, is_classifier, published, read

    if arguments.model not in ("auto", *published()):
        raise UsageError(f"--model {arguments.model}: choose auto or one of {', '.join(published())}")
    source = read(arguments.source, arguments.revision)
    if is_classifier(source):
        return _convert_classifier(source, arguments)
    codec = convert_codec(source, arguments.model)
    save_codec(arguments.out, codec, {"made_by": "audex convert", **source.origin})
    print(
        f"{arguments.out}: codec {codec.config.name}, {codec.sample_rate} Hz, {codec.channels} channel(s), "
        f"{codec.sample_rate / codec.hop:.5g} frames of {codec.dim} numbers a second, "
        f"bandwidths {', '.join(f'{b:g}' for b in codec.bandwidths)} kbps"
    )
    return 0


def _convert_classifier(source, arguments: argparse.Namespace) -> int:
    import jax.numpy as jnp

    from audex_jax.bundles import open_codec, save_explainer
    from audex_jax.cli import UsageError
    from audex_jax.cli.bundles import at_bandwidth
    from audex_jax.data.listing import tidy
    from audex_jax.data.table import read_lines
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.model import Model
    from weights_conversion import ConversionError, convert_classifier

    if arguments.codec is None or (arguments.bandwidth is None) == (not arguments.continuous):
        raise UsageError(
            f"{arguments.source} is a classifier; give the codec that it goes with (--codec) and what it was trained "
            "on: --bandwidth KBPS (1.5 for the published one) or --continuous"
        )
    codec = at_bandwidth(open_codec(arguments.codec), arguments.bandwidth)
    classifier = convert_classifier(source, arguments.heads)
    config = classifier.config
    if config.dim != codec.dim:
        raise ConversionError(
            f"{source.name}: it reads latents of {config.dim} numbers, those of {arguments.codec} have "
            f"{codec.dim}; give the codec that it was trained on"
        )
    labels = [f"class {index}" for index in range(config.classes)]
    if arguments.labels is not None:
        labels = [tidy(line) for line in read_lines(arguments.labels)]
        if len(labels) != config.classes or len(set(labels)) != len(labels):
            raise ConversionError(
                f"{arguments.labels}: {len(set(labels))} different labels on {len(labels)} lines, the classifier has "
                f"{config.classes} classes; write each label once, in its order"
            )
    # the mean latent of the classifier's training set is nowhere published: zeros stand for it
    model = Model(codec, classifier, jnp.zeros(config.dim))
    seconds = config.frames * codec.hop / codec.sample_rate
    origin = {"made_by": "audex convert", "codec": codec.config.name, **source.origin}
    save_explainer(arguments.out, Explainer(model, labels, seconds), origin)
    print(f"{arguments.out}: explainer for {config.classes} labels, clips of {seconds:g} s, codec {codec.config.name}")
    return 0
