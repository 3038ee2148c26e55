"""The one way to an explainer: a bundle by its name or folder, or a classifier of one's own by its `Source`."""

import functools
import importlib
import inspect
import os
import pathlib
import sys
from typing import Any

from audex_jax.adapters.explainers import for_waveform, from_function, from_torch, from_torchscript
from audex_jax.adapters.huggingface import from_huggingface
from audex_jax.adapters.onnx import from_onnx
from audex_jax.adapters.source import FILES, Source
from audex_jax.bundles import load_explainer
from audex_jax.core.errors import AudexError
from audex_jax.explain.explainer import Explainer
from audex_jax.io.files import FileError, content, is_regular

HUGGING_FACE = "hf:"


def open_explainer(model: str | os.PathLike | Source) -> Explainer:
    """Open an explainer.

    Args:
        model: a bundle's name or folder, or a `Source`.

    Raises:
        AudexError: there is none, or it cannot be explained; says what to do.
    """
    if not isinstance(model, Source):
        return load_explainer(model)
    name = model.classifier
    if name is None:
        raise AudexError("a source needs a classifier")
    how: dict[str, Any] = {field: getattr(model, field) for field in ("codec", "label", "between")}
    if model.clip_seconds is not None:
        how["clip_seconds"] = model.clip_seconds
    if name.startswith(HUGGING_FACE):
        return from_huggingface(name.removeprefix(HUGGING_FACE), **how)
    how["output"] = model.output
    suffix = pathlib.Path(name).suffix.lower()
    if suffix in FILES:
        opened = from_onnx if suffix == ".onnx" else from_torchscript
        return opened(name, labels_of(model), rate_of(model), **how)
    found = _imported(name)
    if isinstance(found, Explainer):
        return found
    return _adapted(found, name, model, how)


def _adapted(found: Any, name: str, source: Source, how: dict[str, Any]) -> Explainer:
    """Explainer of what an import path names."""
    labels, rate = labels_of(source), rate_of(source)
    if hasattr(found, "state_dict"):
        return from_torch(found, labels, rate, **how)
    if not callable(found):
        raise AudexError(f"{name} is a {type(found).__name__}; name an Explainer, a function or a PyTorch module")
    function: Any = found
    needed = sum(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in inspect.signature(found).parameters.values()
    )
    if needed == 1:
        return from_function(function, labels, rate, fingerprint=name, **how)
    if needed == 2:
        return for_waveform(functools.partial(_without_params, function), labels, sample_rate=rate, **how)
    return for_waveform(function, labels, sample_rate=rate, **how)


def _without_params(function: Any, params: Any, audio: Any, length: Any) -> Any:
    return function(audio, length)


def _imported(path: str) -> Any:
    """What `package.module:name` names; a function without parameters is called for it.

    Raises:
        AudexError: there is no such module or name, or importing or calling it failed.
    """
    module, colon, name = path.partition(":")
    if not colon or not name or not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise AudexError(
            f"{path}: no such classifier; give hf:FOLDER, a file MODEL.onnx or MODEL.pt, or package.module:name"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = functools.reduce(getattr, name.split("."), importlib.import_module(module))
        if inspect.isfunction(found) and not inspect.signature(found).parameters:
            found = found()
    except AudexError:
        raise
    except Exception as error:
        raise AudexError(f"{path}: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
    return found


def labels_of(source: Source) -> list[str]:
    """The labels of a source.

    Raises:
        AudexError: none are given, or the file cannot be read.
    """
    if source.labels is None:
        raise AudexError(f"{source.classifier}: its labels are not known; give --labels FILE or A,B,...")
    path = pathlib.Path(source.labels)
    if path.suffix != ".txt" and not is_regular(path):
        return [name.strip() for name in source.labels.split(",") if name.strip()]
    try:
        lines = content(path).decode("utf-8").splitlines()
    except (FileError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise AudexError(f"{path}: cannot be read ({reason}); give a text file with a label a line") from None
    return [line.strip() for line in lines if line.strip()]


def rate_of(source: Source) -> int:
    """The sample rate of a source.

    Raises:
        AudexError: none is given, or it is none.
    """
    if source.rate is None or source.rate < 1:
        raise AudexError(f"{source.classifier}: its sample rate is not known; give --rate HZ, for example --rate 16000")
    return source.rate
