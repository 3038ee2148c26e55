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
