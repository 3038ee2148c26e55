"""Bundles: a folder that holds a codec, or a codec with a classifier, ready to load.

    bundle.json               what the weights are: families, configs, labels, hashes, where they come from
    codec.safetensors         every array of the codec, named by its path, as in `encoder.layers.0.kernel`
    classifier.safetensors    likewise for the classifier (explainer bundles only)
    mask_network.safetensors  likewise for the network of the ranking `amortised` (`audex train-explainer`)

A family is a file of `codecs` or `classifiers`; its name stands beside the config. safetensors rather than Orbax for
what people ship and load: one file a module, no code in it, read in milliseconds by any tool. Training state, which
needs resuming and asynchronous saves, goes through Orbax (`training/state.py`).
"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.configs import config_from
from audex_jax.core.errors import AudexError, listing, shown
from audex_jax.core.registry import CLASSIFIERS, CODECS, Registry
from audex_jax.explain.classes import Classes, check_fit
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.mask_network import MaskNetwork, check_network
from audex_jax.explain.model import Model
from audex_jax.io.atomic import replacing_folder
from audex_jax.io.files import FileError, json_object, json_text, sha256
from audex_jax.io.tensors import as_float32, flatten, is_float, read_tensors, unflatten

MODELS = pathlib.Path(__file__).parent / "models"
FORMAT = "audex-bundle"
VERSION = 1
NETWORK = "convolutional"  # the one family of mask networks
Module = TypeVar("Module", bound=nnx.Module)


class BundleError(AudexError):
    """A bundle that cannot be loaded or written; the message names the file, the fault and the remedy."""


def arrays_of(module: nnx.Module) -> dict[str, np.ndarray]:
    """All arrays of a module by dotted path."""
    return {path: np.asarray(value) for path, value in flatten(nnx.to_pure_dict(nnx.state(module))).items()}


def rebuild(build: Callable[[], Module], values: dict) -> Module:
    """A module out of its arrays as a nested dict (`nnx.to_pure_dict`); of `build` only shapes are evaluated."""
    return _fill(nnx.eval_shape(build), values)


def _fill(module: Module, values: dict) -> Module:
    graph, state = nnx.split(module)
    nnx.replace_by_pure_dict(state, values)
    return nnx.merge(graph, state)


def module_from(build: Callable[[], Module], arrays: dict[str, np.ndarray], source: str) -> Module:
    """Build a module out of arrays, spending no memory on initial weights.

    Args:
        build: makes the module; only its shapes are evaluated.
        arrays: every array of the module by dotted path, float16 or float32.
        source: named in errors.

    Returns:
        The module, in float32.

    Raises:
        BundleError: arrays are missing, superfluous, of the wrong shape or not finite; lists all of them.
    """
    shapes = nnx.eval_shape(build)
    wanted = flatten(nnx.to_pure_dict(nnx.state(shapes)))
    faults = [f"{path} is missing" for path in sorted(wanted.keys() - arrays.keys())]
    faults += [f"{path} is not part of the model" for path in sorted(arrays.keys() - wanted.keys())]
    floats = {}
    for path in sorted(wanted.keys() & arrays.keys()):
        floats[path], fault = _fitting(path, arrays[path], wanted[path].shape)
        faults += fault
    if faults:
        raise BundleError(f"{source}: the weights do not fit the model: {listing(faults)}")
    values = jax.device_put(floats)  # all at once: quick
    return _fill(shapes, unflatten(values))


def _fitting(path: str, array: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """An array of a file in float32, and what is wrong with it: shape, type, or values that float32 does not hold."""
    if array.shape != shape:
        return array, [f"{path} has shape {array.shape}, the model wants {shape}"]
    if not is_float(array.dtype):
        return array, [f"{path} holds {array.dtype}, not floating-point numbers"]
    found = as_float32(array)
    return found, [] if np.isfinite(found).all() else [f"{path} holds values that are not finite numbers"]


def save_bundle(
    directory: str | os.PathLike,
    description: dict,
    modules: dict[str, nnx.Module],
    dtype: type = np.float32,
    extra: dict[str, np.ndarray] | None = None,
    card: str | None = None,
) -> None:
    """Write a bundle as a whole or not at all; an existing bundle of that name is replaced.

    Args:
        directory: the bundle's folder.
        description: content of `bundle.json` beside format and version.
        modules: `{"codec": Encodec}`, and `"classifier"` and `"mask_network"` of an explainer.
        dtype: of the stored weights; `np.float16` halves the size.
        extra: further float32 arrays, kept with the classifier under `statistics.`.
        card: content of `README.md`, which `audex models` shows; None for no card.

    Raises:
        BundleError: the folder cannot be written, or holds something that is not a bundle.
    """
    directory = pathlib.Path(directory)
    files = {}
    for name, module in modules.items():
        with np.errstate(over="ignore"):
            files[name] = {path: array.astype(dtype) for path, array in arrays_of(module).items()}
        if name == "classifier":
            files[name] |= {f"statistics.{key}": as_float32(array) for key, array in (extra or {}).items()}
        faults = [path for path, array in files[name].items() if not np.isfinite(array).all()]
        if faults:
            kind = np.dtype(dtype).name
            raise BundleError(f"{directory}: not written: not finite as {kind}: {listing(faults)}; train it again")
    stored = {name: safetensors.numpy.save(arrays) for name, arrays in files.items()}
    hashes = {"sha256": {name: hashlib.sha256(content).hexdigest() for name, content in stored.items()}}
    text = json_text(hashes | {"format": FORMAT, "version": VERSION} | description, indent=2, sort_keys=True)
    try:
        if directory.exists() and not (directory / "bundle.json").exists() and any(directory.iterdir()):
            raise BundleError(f"{directory}: the folder holds other things; choose an empty or a new one")
        with replacing_folder(directory) as staging:
            for name, content in stored.items():
                (staging / f"{name}.safetensors").write_bytes(content)
            (staging / "bundle.json").write_text(text + "\n", encoding="utf-8")
            if card is not None:
                (staging / "README.md").write_text(card, encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(
            f"{directory}: cannot write there ({reason}); nothing was kept; choose another folder"
        ) from None


def read_description(directory: str | os.PathLike) -> dict:
    """`bundle.json`, checked for format and version.

    Raises:
        BundleError: no bundle there, or one of another version.
    """
    path = pathlib.Path(directory) / "bundle.json"
    if not path.exists():
        raise BundleError(f"{directory}: not a bundle (it has no bundle.json); `audex models` lists the bundled ones")
    try:
        description = json_object(path)
    except FileError as error:
        raise BundleError(error) from None
    if description.get("format") != FORMAT or description.get("version") != VERSION:
        raise BundleError(f"{path}: not a version {VERSION} {FORMAT}; convert or train it again with this version")
    if not isinstance(description.setdefault("origin", {}), dict):
        raise BundleError(f"{path}: origin is no object; fetch or convert the bundle again")
    return description


def save_codec(directory: str | os.PathLike, codec: Any, origin: dict, dtype: type = np.float32) -> None:
    """Write a codec bundle; `origin` says where the weights come from (command, data, source file, licence)."""
    save_bundle(directory, {"codec": describe(CODECS, codec), "origin": origin}, {"codec": codec}, dtype)


def load_codec(directory: str | os.PathLike) -> Any:
    """Load the codec of a codec bundle or of an explainer bundle.

    Raises:
        BundleError: no bundle, an unknown family or config, or weights that do not fit it.
    """
    return load_module(CODECS, directory, "codec", read_description(directory))[0]


def open_codec(name: str | os.PathLike) -> Any:
    """The codec that a name stands for: a bundle's folder, a bundled model, or `FAMILY:ARGUMENT`, as in `mdct:16000`.

    Raises:
        AudexError: nothing has that name, or the family needs weights.
    """
    family, colon, argument = str(name).partition(":")
    if not colon or bundle_path(name).exists():
        return load_codec(bundle_path(name))
    kind = CODECS[family]
    if not hasattr(kind, "from_name"):
        raise AudexError(f"{name}: a codec of the family {family!r} has weights; give the folder of its bundle")
    return kind.from_name(argument)


def save_explainer(
    directory: str | os.PathLike,
    explainer: Explainer,
    origin: dict,
    dtype: type = np.float32,
    card: str | None = None,
) -> None:
    """Write an explainer bundle, whole or not at all; `origin` says where it comes from and what it reaches."""
    codec, classifier, mean_latent, mask_network = explainer.model
    description = {
        "codec": describe(CODECS, codec),
        "classifier": describe(CLASSIFIERS, classifier),
        "labels": list(explainer.labels),
        "clip_seconds": explainer.clip_seconds,
        "bandwidth": getattr(codec, "bandwidth", None),
        "origin": origin,
    }
    description |= {"warnings": list(explainer.warnings)} if explainer.warnings else {}
    modules = {"codec": codec, "classifier": classifier}
    if mask_network is not None:
        modules["mask_network"] = mask_network
        description["mask_network"] = {"family": NETWORK} | dataclasses.asdict(mask_network.config)
    save_bundle(directory, description, modules, dtype, {"mean_latent": np.asarray(mean_latent)}, card)


def load_explainer(name: str | os.PathLike) -> Explainer:
    """Load a bundled explainer by its name, or any explainer bundle by its folder.

    Programs that it compiles are kept for later processes, see `core.compilation.use_compilation_cache`.

    Raises:
        BundleError: no such bundle, or one that does not fit.
    """
    use_compilation_cache()
    directory = bundle_path(name)
    description = read_description(directory)
    if "classifier" not in description:
        raise BundleError(f"{directory}: this bundle is a codec; train a classifier on it with audex train")
    codec, _ = load_module(CODECS, directory, "codec", description)
    classifier, statistics = load_module(CLASSIFIERS, directory, "classifier", description)
    names = [field.name for field in dataclasses.fields(Classes)]
    try:
        classes = config_from(Classes, {name: description[name] for name in names if name in description})
        if classes.bandwidth is not None:
            if not hasattr(codec, "at"):
                raise AudexError(f"bandwidth is {classes.bandwidth:g}, but its codec has no quantiser")
            codec = codec.at(float(classes.bandwidth))
        check_fit(codec, getattr(classifier, "config", None), classes)
    except AudexError as error:
        raise BundleError(f"{directory}/bundle.json: {error}") from None
    mean, faults = _fitting("mean_latent", statistics.pop("mean_latent", np.zeros(0)), (codec.dim,))
    if faults or statistics:
        what = listing([*faults, *(f"{name} is not known" for name in statistics)])
        raise BundleError(f"{directory}/classifier.safetensors: its statistics do not fit: {what}; train it again")
    warnings = description.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(warning, str) for warning in warnings):
        raise BundleError(f"{directory}/bundle.json: warnings is not a list of texts; fetch the bundle again")
    network = None
    if "mask_network" in description:
        network, _ = load_module({NETWORK: MaskNetwork}, directory, "mask_network", description)
        try:
            check_network(network.config, codec, classifier, len(classes.labels))
        except AudexError as error:
            raise BundleError(f"{directory}/bundle.json: {error}") from None
    model = Model(codec, classifier, jnp.asarray(mean), network)
    return Explainer(model, classes.labels, classes.clip_seconds, [shown(warning) for warning in warnings])


def bundle_path(name: str | os.PathLike) -> pathlib.Path:
    """Folder of a bundle that is named by its folder or, for those in the package, by its name."""
    bundled = MODELS / str(name)
    return bundled if os.sep not in str(name) and (bundled / "bundle.json").exists() else pathlib.Path(name)


def describe(families: Registry, module: Any) -> dict:
    """The family and the config of a module, as `bundle.json` holds them.

    Raises:
        BundleError: its class is of no family, so that nothing could load it again.
    """
    family = next((name for name in families.names() if families[name] is type(module)), None)
    if family is None:
        raise BundleError(f"{type(module).__name__} is no {families.what}; register its class to save it in a bundle")
    return {"family": family} | dataclasses.asdict(module.config)


def load_module(
    families: Registry | Mapping[str, Any], directory: str | os.PathLike, name: str, description: dict
) -> tuple[Any, dict[str, np.ndarray]]:
    """One module of a bundle, and the statistics that are stored with it.

    Raises:
        BundleError: an unknown family or config, or weights that do not fit it.
    """
    try:
        fields = dict(description[name])
        kind = families[fields.pop("family")]
        config = kind.config_class.from_dict(fields)
    except KeyError as error:
        raise BundleError(
            f"{directory}/bundle.json: {name} has no {error}; fetch or convert the bundle again"
        ) from None
    except (TypeError, ValueError) as error:
        raise BundleError(f"{directory}/bundle.json, {name}: {error}") from None
    path = pathlib.Path(directory) / f"{name}.safetensors"
    try:
        arrays = read_tensors(path)
    except FileError as error:
        raise BundleError(f"{error}; the bundle is incomplete") from None
    prefix = "statistics."
    statistics = {key.removeprefix(prefix): arrays.pop(key) for key in list(arrays) if key.startswith(prefix)}
    module = module_from(lambda: kind(config, rngs=None), arrays, str(path))
    hashes = description.get("sha256")  # bundles of version 0.1.0 have none
    if hashes is not None and (not isinstance(hashes, dict) or hashes.get(name) != sha256(path)):
        raise BundleError(f"{path}: damaged: its sha256 is not that of bundle.json; fetch it again")
    return module, statistics


def digest(explainer: Explainer) -> str:
    """SHA-256 of the configs and every number of a model, as hexadecimal digits; equal digests, equal explanations."""
    codec, classifier, mean_latent, mask_network = explainer.model
    found = hashlib.sha256(repr(getattr(codec, "bandwidth", None)).encode())
    for module in (codec, classifier, *([] if mask_network is None else [mask_network])):
        _hash(module, found)
    found.update(np.asarray(mean_latent).tobytes())
    return found.hexdigest()


def digest_of(module: Any) -> str:
    """SHA-256 of the config and every number of one module."""
    found = hashlib.sha256()
    _hash(module, found)
    return found.hexdigest()


def _hash(module: Any, found: Any) -> None:
    named = getattr(module, "fingerprint", None) or getattr(module, "config", type(module).__name__)
    found.update(repr(named).encode())
    for leaf in jax.tree.leaves(module):
        found.update(np.ascontiguousarray(leaf).tobytes())
