"""Arrays of safetensors files."""

import os

import numpy as np
import safetensors
import safetensors.numpy

from audex_jax.io.files import FileError, opened

MOST_BYTES = 2**34


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of a safetensors file.

    Raises:
        FileError: no such file, not a regular one, or one that is damaged or holds numbers that NumPy does not know.
    """
    opened(path, MOST_BYTES).close()
    try:
        return safetensors.numpy.load_file(path)
    except (KeyError, AttributeError) as error:
        raise FileError(f"{path}: numbers of a type that cannot be read ({error}); save it as float32") from None
    except (safetensors.SafetensorError, ValueError, TypeError, OSError) as error:
        raise FileError(f"{path}: not a readable safetensors file, or cut short ({error}); fetch it again") from None


def is_float(dtype: np.dtype) -> bool:
    """Whether a type of numbers is floating-point, `bfloat16` included."""
    return np.issubdtype(dtype, np.floating) or dtype.name == "bfloat16"


def as_float32(array: np.ndarray) -> np.ndarray:
    """An array in float32; what is too large for it becomes infinite, for the caller to refuse."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array, np.float32)


def flatten(tree: dict, prefix: str = "") -> dict:
    """Leaves of nested dicts by dotted path: `{"layers": {0: x}}` as `{"layers.0": x}`."""
    flat = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        flat |= flatten(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return flat


def unflatten(flat: dict) -> dict:
    """The nested dicts of `flatten`."""
    tree: dict = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(int(part) if part.isdigit() else part, {})
        node[int(leaf) if leaf.isdigit() else leaf] = value
    return tree
