"""The engine: every array of the model is filled, every tensor of the file is used, or one error says what is not.

One naming a family is canonical, with weight norm folded (`encoder.layers.3.conv.weight`). Dialects are renamed to it;
a table leads from there to our arrays.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from audex_jax.io.tensors import as_float32, is_float
from weights_conversion.errors import ConversionError
from weights_conversion.transforms import Transform, fold_weight_norm, unfold_weight_norm

# (scale, direction): `torch.nn.utils.weight_norm`, and `torch.nn.utils.parametrizations.weight_norm` (torch >= 2.1)
WEIGHT_NORMS = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
# What `torch.nn.DataParallel`, `torch.compile` and people's trainers set before every name
WRAPPERS = r"module\.|_orig_mod\.|model\.|codec\."
Renames = Sequence[tuple[str, Any]]  # patterns, and replacements as `re.sub` takes them


class Row(NamedTuple):
    """One kind of array.

    Attributes:
        kind: class of our module that owns the array.
        array: its name in that module.
        tensors: names of the PyTorch tensors it is made of; `{path}` is the module's renamed path, `{i}` the index of
            an LSTM layer, and a name with `{q}` stands for one tensor each stage of the quantiser.
        transform: the change of layout.
    """

    kind: str
    array: str
    tensors: tuple[str, ...]
    transform: Transform


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


Tensors = dict[str, Tensor]


def targets_of(build: Callable[[], nnx.Module], table: Sequence[Row], paths: Renames) -> tuple[Target, ...]:
    """All arrays of a module, with the tensors that they are made of."""
    rows = {(row.kind, row.array): row for row in table}
    targets = []
    for keys, module in nnx.iter_modules(nnx.eval_shape(build)):
        ours = ".".join(map(str, keys))
        theirs = renamed(ours, paths)
        for array, variable in vars(module).items():
            if not isinstance(variable, nnx.Variable):
                continue
            row = rows[type(module).__name__, array]
            shape = tuple(variable.get_value().shape)
            path, _, index = theirs.rpartition(".layers.") if "{i}" in row.tensors[0] else (theirs, "", "")
            stages = range(shape[0]) if "{q}" in row.tensors[0] else range(1)
            tensors = tuple(name.format(path=path, i=index, q=q) for q in stages for name in row.tensors)
            targets.append(Target(f"{ours}.{array}".lstrip("."), shape, tensors, row.transform))
    return tuple(sorted(targets))


def canonical(tensors: Mapping[str, np.ndarray], renames: Renames) -> tuple[Tensors, list[str]]:
    """Rename to the canonical names and fold weight norm; returns also what went wrong."""
    found: Tensors = {}
    faults = []
    for label, values in tensors.items():
        name = renamed(label, renames)
        if name in found:
            faults.append(f"{found[name].label} and {label} stand for the same tensor")
        found[name] = Tensor(label, values)
    for scale, direction in WEIGHT_NORMS:
        for name in [name for name in found if name.endswith(direction)]:
            stem = name.removesuffix(direction)
            if f"{stem}{scale}" not in found:
                continue  # reported as left over
            if f"{stem}.weight" in found:
                faults.append(f"{found[name].label} stands beside {found[f'{stem}.weight'].label}")
            v, g = found.pop(name), found.pop(f"{stem}{scale}")
            if v.values.ndim != 3 or g.values.shape != (len(v.values), 1, 1):
                faults.append(f"{g.label} has shape {g.values.shape}, {v.label} has {v.values.shape}: no weight norm")
                continue
            found[f"{stem}.weight"] = Tensor(v.label, fold_weight_norm(g.values, v.values))
    return found, faults


def fill(
    source: str, targets: Sequence[Target], tensors: Tensors, faults: list[str], ignored: Sequence[tuple[str, str]] = ()
) -> dict[str, np.ndarray]:
    """Every array of ours out of canonical tensors.

    Raises:
        ConversionError: with `faults` and all that do not fit.
    """
    used = {name: tensors[name] for target in targets for name in target.tensors if name in tensors}
    faults = faults + misfits(targets, tensors, ignored)
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


def misfits(targets: Sequence[Target], tensors: Tensors, ignored: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Tensors that no array is made of and nothing excuses, that are missing, or of the wrong shape or type."""
    used = {name for target in targets for name in target.tensors}
    excused = [re.compile(pattern) for pattern, _ in ignored]
    faults = [
        f"{tensor.label} has no place in the model"
        for name, tensor in tensors.items()
        if name not in used and not any(pattern.fullmatch(name) for pattern in excused)
    ]
    for target in targets:
        blank = np.broadcast_to(np.float32(0), target.shape)
        for name, wanted in zip(target.tensors, target.transform.backward(blank), strict=True):
            if name not in tensors:
                faults.append(f"{name} is missing")
                continue
            label, values = tensors[name]
            if values.shape != wanted.shape:
                faults.append(f"{label} has shape {values.shape}, the model wants {wanted.shape}")
            if not is_float(values.dtype):
                faults.append(f"{label} holds {values.dtype}, not floating-point numbers")
    return faults


def tensors_of(arrays: Mapping[str, np.ndarray], targets: Iterable[Target]) -> dict[str, np.ndarray]:
    """The canonical tensors that our arrays came from, by each target's own way back."""
    tensors: dict[str, np.ndarray] = {}
    for target in targets:
        parts = target.transform.backward(np.asarray(arrays[target.path]))
        tensors |= dict(zip(target.tensors, parts, strict=True))
    return tensors


def with_weight_norm(tensors: Mapping[str, np.ndarray], ending: str) -> dict[str, np.ndarray]:
    """The tensors with scale and direction in the place of each kernel whose name has this ending."""
    found = dict(tensors)
    for name in [name for name in tensors if name.endswith(ending)]:
        stem, parts = name.removesuffix(".weight"), unfold_weight_norm(found.pop(name))
        found |= {f"{stem}{suffix}": part for suffix, part in zip(WEIGHT_NORMS[0], parts, strict=True)}
    return found


def renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _finite(values: np.ndarray) -> bool:
    """Whether all values stay finite in float32."""
    return not is_float(values.dtype) or bool(np.isfinite(as_float32(values)).all())
