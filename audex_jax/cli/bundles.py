"""What several commands do with their arguments: open a model, read a recording, check an output's name."""

import argparse
import pathlib
from typing import Any

import numpy as np

from audex_jax.bundles import bundle_path, load_explainer, open_codec, read_description
from audex_jax.cli import UsageError
from audex_jax.codecs.encodec import Encodec
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Codec
from audex_jax.explain.explainer import Explainer
from audex_jax.io import audio


def explainer_of(arguments: argparse.Namespace) -> Explainer:
    """The explainer `arguments.model`; compiled programs are kept between runs.

    Raises:
        UsageError: it does not know the label `arguments.target`.
    """
    use_compilation_cache()
    explainer = load_explainer(arguments.model)
    try:
        explainer.target_index(getattr(arguments, "target", None))
    except AudexError as error:
        raise UsageError(f"--target: {error}") from None
    return explainer


def at_bandwidth(codec: Any, bandwidth: float | None) -> Any:
    """The codec with its latents rounded to codes of so many kilobits per second; None leaves them continuous.

    Raises:
        UsageError: the codec has no quantiser, or not that bandwidth.
    """
    if bandwidth is None:
        return codec
    if not hasattr(codec, "at"):
        raise UsageError(f"--bandwidth: {type(codec).__name__} has no quantiser; leave it out")
    return codec.at(bandwidth)


def origin_of(name: str) -> Any:
    """Where a model comes from, as its bundle says; its own name if it has none."""
    path = bundle_path(name)
    return read_description(path).get("origin") if path.exists() else name


def encodec(name: str) -> Encodec:
    """An EnCodec, for what only that has: codes.

    Raises:
        UsageError: the codec is of another family.
    """
    codec = open_codec(name)
    if not isinstance(codec, Encodec):
        raise UsageError(f"--codec {name}: {type(codec).__name__} has no codes; give an EnCodec")
    return codec


def recording(path: str, codec: Codec) -> np.ndarray:
    """A recording as the codec takes it: its sample rate and channels, `[n, c]`."""
    samples = audio.read_audio(path, codec.sample_rate, codec.channels)
    return samples.reshape(len(samples), codec.channels)


def require_suffix(path: str, accepted: tuple[str, ...], option: str = "--out") -> None:
    """Fail before the work, not after it.

    Raises:
        UsageError: the output's name does not end in an accepted suffix, or its folder does not exist.
    """
    if pathlib.Path(path).suffix.lower() not in accepted:
        raise UsageError(f"{option} {path}: the name must end in {' or '.join(accepted)}")
    if not pathlib.Path(path).parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {pathlib.Path(path).parent}; make it first")
