"""The engine: every array of the model is filled, every tensor of the file is used, or one error says what is not."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from flax import nnx

from audex_jax.bundles import module_from
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.codecs.encodec import PRESETS, Encodec, EncodecConfig
from audex_jax.io.tensors import as_float32, is_float
from weights_conversion import configs, names
from weights_conversion.errors import ConversionError
from weights_conversion.sources import Source
from weights_conversion.transforms import Transform, fold_weight_norm

PUBLISHED = ("encodec-24khz", "encodec-32khz", "encodec-48khz", "audiogen-16khz")
Table = Sequence[names.Row]
Renames = Sequence[tuple[str, str]]


class Target(NamedTuple):
    """One array of ours: its path and shape, the canonical names of its tensors, the change of layout."""

    path: str
    shape: tuple[int, ...]
    tensors: tuple[str, ...]
    transform: Transform


class Tensor(NamedTuple):
    """One tensor under its canonical name: what the file calls it, and its values."""

    label: str
    values: np.ndarray


def convert_codec(source: Source, model: str = "auto") -> Encodec:
    """EnCodec out of a published checkpoint.

    Args:
        source: what `sources.read` returned.
        model: one of `PUBLISHED`, or `"auto"`: the source's own config, or else the published model that it fits.

    Raises:
        ConversionError: the config is not understood or is not that of `model`, or tensors are missing, left over,
            of the wrong shape or type, or not finite; lists all of them.
    """
    config = _config(source, model)
    arrays = _fill(source.name, codec_targets(config), *_canonical(source.tensors, names.CODEC_RENAMES))
    return module_from(lambda: Encodec(config, rngs=None), arrays, source.name)


def is_classifier(source: Source) -> bool:
    """Whether a checkpoint holds a transformer rather than a codec."""
    return any(".self_attn." in name for name in source.tensors)


def convert_classifier(source: Source, heads: int = 8) -> LatentTransformer:
    """The paper's classifier, or one of the same build around an `nn.TransformerEncoder`.

    The file must hold a linear layer in, learned positions, encoder layers and a linear layer out. What it cannot tell
    is taken as in the paper: post-norm, ReLU, positions added to the projected latent, mean over time.

    Args:
        source: what `sources.read` returned.
        heads: attention heads, which no tensor's shape tells; the published classifier has 8.

    Raises:
        ConversionError: as for `convert_codec`.
    """
    tensors, faults = _canonical(source.tensors, names.CLASSIFIER_RENAMES)
    if "pos_encoder" in tensors and tensors["pos_encoder"].values.ndim == 2:
        tensors["pos_encoder"] = Tensor(tensors["pos_encoder"].label, tensors["pos_encoder"].values[None])
    layers = {name.split(".")[2] for name in tensors if name.startswith("transformer_encoder.layers.")}
    shapes = {name: tensor.values.shape for name, tensor in tensors.items()}
    try:
        width, dim = shapes["embedding.weight"]
        config = TransformerConfig(
            dim=dim,
            classes=shapes["output_layer.bias"][0],
            frames=shapes["pos_encoder"][1],
            width=width,
            layers=len(layers),
            heads=heads,
            feed_forward=shapes["transformer_encoder.layers.0.linear1.bias"][0],
        )
    except KeyError as error:
        raise ConversionError(
            f"{source.name}: not a classifier of the known build: no tensor stands for {error.args[0]}; it has "
            + ", ".join(sorted(source.tensors)[:12])
        ) from None
    except (ValueError, IndexError) as error:
        raise ConversionError(f"{source.name}: its shapes are not those of a classifier ({error})") from None
    arrays = _fill(source.name, classifier_targets(config), tensors, faults)
    return module_from(lambda: LatentTransformer(config, rngs=None), arrays, source.name)


@functools.cache
def codec_targets(config: EncodecConfig) -> tuple[Target, ...]:
    """All arrays of a codec, with the tensors that they are made of."""
    return tuple(_targets(lambda: Encodec(config, rngs=None), names.CODEC, names.CODEC_PATHS))


@functools.cache
def classifier_targets(config: TransformerConfig) -> tuple[Target, ...]:
    """All arrays of a classifier, with the tensors that they are made of."""
    build = lambda: LatentTransformer(config, rngs=None)  # noqa: E731
    return tuple(_targets(build, names.CLASSIFIER, names.CLASSIFIER_PATHS))


def _config(source: Source, model: str) -> EncodecConfig:
    if model != "auto" and model not in PUBLISHED:
        raise ConversionError(f"there is no published model {model!r}; choose auto or one of {', '.join(PUBLISHED)}")
    if model == "auto":
        return source.config or _recognise(source)
    wanted = PRESETS[model]
    if source.config is not None and source.config != wanted:
        raise ConversionError.of(
            source.name,
            f"its own config is not that of {model}; leave --model out to convert what the file says",
            configs.differences(source.config, wanted),
        )
    return wanted


def _recognise(source: Source) -> EncodecConfig:
    """The published model with the same tensors; the nearest one, if none fits, so that the error can say why."""

    def misfits(config: EncodecConfig) -> int:
        targets = codec_targets(config)
        return len(_faults(targets, tensors)) + len(_left_over(targets, tensors))

    tensors, _ = _canonical(source.tensors, names.CODEC_RENAMES)
    return min((PRESETS[name] for name in PUBLISHED), key=misfits)


def _targets(build: Callable[[], nnx.Module], table: Table, paths: Renames) -> list[Target]:
    rows = {(row.kind, row.array): row for row in table}
    targets = []
    for keys, module in nnx.iter_modules(nnx.eval_shape(build)):
        ours = ".".join(map(str, keys))
        theirs = _renamed(ours, paths)
        for array, variable in vars(module).items():
            if not isinstance(variable, nnx.Variable):
                continue
            row = rows[type(module).__name__, array]
            shape = tuple(variable.get_value().shape)
            path, _, index = theirs.rpartition(".layers.") if "{i}" in row.tensors[0] else (theirs, "", "")
            stages = range(shape[0]) if "{q}" in row.tensors[0] else range(1)
            tensors = tuple(name.format(path=path, i=index, q=q) for q in stages for name in row.tensors)
            targets.append(Target(f"{ours}.{array}".lstrip("."), shape, tensors, row.transform))
    return sorted(targets)


def _canonical(tensors: dict[str, np.ndarray], renames: Renames) -> tuple[dict[str, Tensor], list[str]]:
    """Rename to the canonical names and fold weight norm; returns also what went wrong."""
    canonical: dict[str, Tensor] = {}
    faults = []
    for label, values in tensors.items():
        name = _renamed(label, renames)
        if name in canonical:
            faults.append(f"{canonical[name].label} and {label} stand for the same tensor")
        canonical[name] = Tensor(label, values)
    for scale, direction in names.WEIGHT_NORMS:
        for name in [name for name in canonical if name.endswith(direction)]:
            stem = name.removesuffix(direction)
            if f"{stem}{scale}" not in canonical:
                continue  # reported as left over
            if f"{stem}.weight" in canonical:
                faults.append(f"{canonical[name].label} stands beside {canonical[f'{stem}.weight'].label}")
            v, g = canonical.pop(name), canonical.pop(f"{stem}{scale}")
            if v.values.ndim != 3 or g.values.shape != (len(v.values), 1, 1):
                faults.append(f"{g.label} has shape {g.values.shape}, {v.label} has {v.values.shape}: no weight norm")
                continue
            canonical[f"{stem}.weight"] = Tensor(v.label, fold_weight_norm(g.values, v.values))
    return canonical, faults


def _fill(
    source: str, targets: Sequence[Target], canonical: dict[str, Tensor], faults: list[str]
) -> dict[str, np.ndarray]:
    """Every array of ours out of the tensors, or one error with `faults` and all others."""
    used = {name: canonical[name] for target in targets for name in target.tensors if name in canonical}
    faults = faults + _left_over(targets, canonical) + _faults(targets, canonical)
    faults += [f"{t.label} holds values that are not finite numbers" for t in used.values() if not _finite(t.values)]
    if faults:
        raise ConversionError.of(source, "its tensors do not fit the model", faults)
    return {
        target.path: np.ascontiguousarray(
            target.transform.forward(*(np.asarray(used[name].values, np.float64) for name in target.tensors)),
            np.float32,
        )
        for target in targets
    }


def _faults(targets: Sequence[Target], canonical: dict[str, Tensor]) -> list[str]:
    """Tensors that are missing, or of the wrong shape or type."""
    faults = []
    for target in targets:
        blank = np.broadcast_to(np.float32(0), target.shape)
        for name, wanted in zip(target.tensors, target.transform.backward(blank), strict=True):
            if name not in canonical:
                faults.append(f"{name} is missing")
                continue
            label, values = canonical[name]
            if values.shape != wanted.shape:
                faults.append(f"{label} has shape {values.shape}, the model wants {wanted.shape}")
            if not is_float(values.dtype):
                faults.append(f"{label} holds {values.dtype}, not floating-point numbers")
    return faults


def _left_over(targets: Sequence[Target], canonical: dict[str, Tensor]) -> list[str]:
    """Tensors that no array is made of and that no row of `names.IGNORED` excuses."""
    used = {name for target in targets for name in target.tensors}
    excused = re.compile("|".join(pattern for pattern, _ in names.IGNORED))
    return [
        f"{tensor.label} has no place in the model"
        for name, tensor in canonical.items()
        if name not in used and not excused.fullmatch(name)
    ]


def _renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _finite(values: np.ndarray) -> bool:
    """Whether all values stay finite in float32."""
    return not is_float(values.dtype) or bool(np.isfinite(as_float32(values)).all())
