"""Explainers of classifiers of audio. The codec's latent is the space of explanation, whatever the classifier reads:

    F(z) = f(gain * decode(z))          explained at z = encode(clip)

What is explained is the decision on the recording itself; edited latents are classified by their sound.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import jax.numpy as jnp
import numpy as np

from audex_jax.adapters.host import HostClassifier, check_function
from audex_jax.adapters.pytorch import TorchFunction, open_torchscript
from audex_jax.adapters.reading import Reading, reading_of
from audex_jax.adapters.waveform import Function, Waveform, check_waveform
from audex_jax.bundles import open_codec
from audex_jax.core.errors import AudexError
from audex_jax.core.resample import resampled_length
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model
from audex_jax.explain.result import Explanation

CLIP_SECONDS = 5.0
LOSSLESS = "mdct"


class Options(TypedDict, total=False):
    """What all explainers of classifiers of audio take beside the classifier, its labels and its sample rate.

    Attributes:
        codec: space of the explanation: a `core.protocols.Codec`, or what `bundles.open_codec` opens, or `mdct`
            (default): it loses nothing, at any rate.
        output: one of `adapters.reading.OUTPUTS`; default: `logits`.
        label: which of several independent labels is explained.
        between: begin and end in seconds, for outputs by frame.
        clip_seconds: longest clip that is explained in one piece; default: 5 s.
    """

    codec: Any
    output: str
    label: str | None
    between: tuple[float, float] | None
    clip_seconds: float


def for_waveform(
    function: Function, labels: Sequence[str], *, params: Any = None, sample_rate: int, **options: Unpack[Options]
) -> Explainer:
    """Explainer of a JAX function from audio to logits.

    Args:
        function: `(params, audio [n, c], length) -> [k]`, or `[t, k]` with a row for each frame; what lies behind
            `length` samples is zeros, and has to change nothing. It is compiled with everything else, and `params` is
            an argument of the program.
        labels: names of the outputs, in their order.
        params: any pytree of arrays.
        sample_rate: that the function takes, in Hz. Audio is given at the codec's rate and resampled, with gradient.
        options: see `Options`.

    Raises:
        AudexError: the function does not give one number for each label; an unknown codec, output or label.
    """
    space, reading, names, clip_seconds = _opened(labels, sample_rate, **options)
    samples = resampled_length(round(clip_seconds * space.sample_rate), space.sample_rate, sample_rate)
    check_waveform(function, params, len(labels), int(samples), space.channels)
    classifier = Waveform(params, function, space.sample_rate, sample_rate, reading)
    return _explainer(space, classifier, names, clip_seconds)


setattr(Explainer, "for_waveform", staticmethod(for_waveform))  # noqa: B010  # it knows no bundles, hence no codecs


def from_torch(
    module: Any,
    labels: Sequence[str],
    sample_rate: int,
    front_end: Callable[[Any], Any] | None = None,
    **options: Any,
) -> Explainer:
    """Explainer of a PyTorch module, or a TorchScript one, from audio `[b, n]` to logits `[b, k]`.

    It is used in evaluation mode, on the device where it is.

    Args:
        module: a `torch.nn.Module`; what has a field `logits` is taken for them.
        labels, sample_rate, options: as in `for_waveform`; clips come without padding, channels averaged.
        front_end: differentiable function of tensors that makes of audio `[b, n]` what the module takes.

    Raises:
        AudexError: as in `from_function`; no gradient from the outputs to the audio.
    """
    found = TorchFunction(module, front_end)
    return _on_host(found, found.pull_back, labels, sample_rate, found.fingerprint, **options)


def from_torchscript(path: str | os.PathLike, labels: Sequence[str], sample_rate: int, **options: Any) -> Explainer:
    """Explainer of a TorchScript file, as `torch.jit.save` writes it; used on the CPU.

    Args:
        path: the file.
        labels, sample_rate, options: as in `from_torch`.

    Raises:
        AudexError: no such file, or it is not TorchScript; as in `from_torch`.
    """
    return from_torch(open_torchscript(path), labels, sample_rate, **options)


def from_function(
    function: Callable[[np.ndarray], np.ndarray],
    labels: Sequence[str],
    sample_rate: int,
    fingerprint: str | None = None,
    **options: Any,
) -> Explainer:
    """Explainer of any function of NumPy arrays, without gradients: an ONNX or TFLite model, a server.

    Its default method and ranking need no gradient; `Settings.budget` bounds how often it is asked.

    Args:
        function: float32 audio `[b, n]`, channels averaged, to outputs `[b, k]` or `[b, t, k]`.
        labels, sample_rate, options: as in `for_waveform`; clips come without padding.
        fingerprint: tells this function from others in the record of a job; default: its name.

    Raises:
        AudexError: it does not give one finite number for each label, or does not answer alike when asked again.
    """
    name = fingerprint or f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
    return _on_host(function, None, labels, sample_rate, name, **options)


def explain_model(
    function: Any,
    audio: np.ndarray,
    labels: Sequence[str],
    *,
    sample_rate: int,
    target: str | None = None,
    gradient: str = "auto",
    control: bool = True,
    versus: str | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Explanation:
    """Explain one clip of a classifier of audio.

    Args:
        function: a JAX function as in `for_waveform`, a PyTorch module as in `from_torch`, or with `gradient="none"` a
            function as in `from_function`.
        audio: samples `[n]` or `[n, c]` at the codec's sample rate; that is `sample_rate` unless a codec is given.
        labels, sample_rate, options: as in `for_waveform`.
        target, control, versus: as in `Explainer.explain`.
        gradient: `auto`, or `none` for a function without one.
        settings: fields of `Settings`.
    """
    audio = np.asarray(audio)
    space = codec_of(options.pop("codec", LOSSLESS), sample_rate)
    options = {"codec": space, "clip_seconds": len(audio) / space.sample_rate} | options
    if gradient == "none":
        explainer = from_function(function, labels, sample_rate, **options)
    elif hasattr(function, "state_dict"):
        explainer = from_torch(function, labels, sample_rate, **options)
    else:
        explainer = for_waveform(function, labels, sample_rate=sample_rate, **options)
    return explainer.explain(audio, target, versus=versus, control=control, **(settings or {}))


def bounded(seconds: float, name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a model that takes so many seconds of audio: by default that is the longest clip, if it is shorter.

    Raises:
        AudexError: longer clips are asked for.
    """
    options = {"clip_seconds": min(CLIP_SECONDS, seconds)} | options
    if options["clip_seconds"] > seconds:
        asked = options["clip_seconds"]
        raise AudexError(f"{name}: the model takes {seconds:.4g} s of audio, not {asked:g} s; choose shorter clips")
    return options


def codec_of(codec: Any, sample_rate: int) -> Any:
    """The codec itself, the one of that name, or the MDCT of a sample rate."""
    if not isinstance(codec, str):
        return codec
    return open_codec(f"{LOSSLESS}:{sample_rate}" if codec == LOSSLESS else codec)


def _on_host(
    function: Any,
    pull_back: Any,
    labels: Sequence[str],
    sample_rate: int,
    fingerprint: str,
    **options: Unpack[Options],
) -> Explainer:
    space, reading, names, clip_seconds = _opened(labels, sample_rate, **options)
    classifier = HostClassifier(
        function,
        pull_back,
        source=space.sample_rate,
        rate=sample_rate,
        reading=reading,
        labels=len(labels),
        fingerprint=fingerprint,
    )
    check_function(classifier, clip_seconds)
    return _explainer(space, classifier, names, clip_seconds)


def _opened(
    labels: Sequence[str],
    sample_rate: int,
    *,
    codec: Any = LOSSLESS,
    output: str = "logits",
    label: str | None = None,
    between: tuple[float, float] | None = None,
    clip_seconds: float = CLIP_SECONDS,
) -> tuple[Any, Reading, Sequence[str], float]:
    """What the options stand for: codec, reading of the output, names of its labels, and seconds of a clip."""
    return codec_of(codec, sample_rate), *reading_of(labels, output, label, between), clip_seconds


def _explainer(codec: Any, classifier: Any, labels: Sequence[str], clip_seconds: float) -> Explainer:
    return Explainer(Model(codec, classifier, jnp.zeros(codec.dim)), labels, clip_seconds)
