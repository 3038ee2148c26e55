"""What several commands do with their arguments: open a model, read a recording, check an output's name."""

import argparse
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from audex_jax.adapters.open import open_explainer
from audex_jax.adapters.source import Source, is_source
from audex_jax.bundles import bundle_path, open_codec, read_description
from audex_jax.cli import UsageError
from audex_jax.cli.options import read_options
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Codec, CodesCodec
from audex_jax.explain.explainer import Explainer
from audex_jax.io import audio
from audex_jax.io.marks import must_not_replace
from audex_jax.io.remote import is_address


def model_of(arguments: argparse.Namespace) -> str | Source:
    """What `adapters.open.open_explainer` opens: `arguments.model`, or the source of a classifier of one's own."""
    name = name_of(arguments)
    if not hasattr(arguments, "classifier") or not (arguments.classifier or is_source(name)):
        return name
    target, between = target_and_range(getattr(arguments, "target", None))
    label = target if arguments.output.startswith("independent") else None
    return read_options(Source, arguments, classifier=name, label=label, between=between)


def name_of(arguments: argparse.Namespace) -> str:
    """The model's name, for records."""
    return getattr(arguments, "classifier", None) or arguments.model


def target_and_range(target: str | None) -> tuple[str | None, tuple[float, float] | None]:
    """A target and its time range: `speech@0.5-1.2` is the label speech from 0.5 to 1.2 seconds.

    >>> target_and_range("speech@0.5-1.2")
    ('speech', (0.5, 1.2))
    """
    label, at, seconds = (target or "").rpartition("@")
    begin, _, end = seconds.partition("-")
    try:
        span = float(begin), float(end)
    except ValueError:
        return target, None
    if not at or not 0 <= span[0] < span[1]:
        return target, None
    return label or None, span


def explainer_of(arguments: argparse.Namespace) -> Explainer:
    """The explainer that `arguments` ask for; compiled programs are kept between runs.

    A time range is taken off `arguments.target`.

    Raises:
        UsageError: it does not know the label `arguments.target`.
    """
    use_compilation_cache()
    model = model_of(arguments)
    explainer = open_explainer(model)
    if isinstance(model, Source) and "target" in arguments:
        arguments.target = target_and_range(arguments.target)[0]
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
    if not isinstance(codec, CodesCodec):
        raise UsageError(f"--bandwidth: {type(codec).__name__} has no quantiser; leave it out")
    return codec.at(bandwidth)


def origin_of(name: str) -> Any:
    """Where a model comes from, as its bundle says; its own name if it has none."""
    path = bundle_path(name)
    return read_description(path).get("origin") if path.exists() else name


def codec_with_codes(name: str) -> Any:
    """A codec that has codes: `core.protocols.CodesCodec`.

    Raises:
        UsageError: it has none.
    """
    codec = open_codec(name)
    if not isinstance(codec, CodesCodec):
        raise UsageError(f"--codec {name}: {type(codec).__name__} has no codes; give a codec with a quantiser")
    return codec


def recording(path: str, codec: Codec) -> np.ndarray:
    """A recording as the codec takes it: its sample rate and channels, `[n, c]`."""
    samples = audio.read_audio(path, codec.sample_rate, codec.channels)
    return samples.reshape(len(samples), codec.channels)


def require_suffix(path: str, accepted: tuple[str, ...], option: str = "--out", inputs: Sequence[str] = ()) -> None:
    """Fail before the work, not after it.

    Raises:
        UsageError: the output's name does not end in an accepted suffix, or its folder does not exist.
        AudexError: it is one of the `inputs`, or a file that the tool did not write.
    """
    if pathlib.Path(path).suffix.lower() not in accepted:
        raise UsageError(f"{option} {path}: the name must end in {' or '.join(accepted)}")
    if is_address(path):
        return
    if not pathlib.Path(path).parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {pathlib.Path(path).parent}; make it first")
    must_not_replace(path, *inputs)
