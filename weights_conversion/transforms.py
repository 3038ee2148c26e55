"""From PyTorch's array layouts to ours and back. NumPy only; the engine feeds float64 and rounds once, to float32.

| piece            | PyTorch                          | ours                     |
|------------------|----------------------------------|--------------------------|
| Conv1d           | [out, in, k]                     | [k, in, out]             |
| ConvTranspose1d  | [in, out, k]                     | [k, in, out]             |
| Linear, LSTM     | [out, in]                        | [in, out]                |
| LSTM bias        | b_ih + b_hh, gates i, f, g, o    | one vector, same order   |
| codebooks        | one [entries, d] a stage         | [q, entries, d]          |
| Conv1d, 1 tap    | one [out, in, 1] a stage         | [q, in, out]             |
| Snake            | [1, c, 1]                        | [c]                      |
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Transform(NamedTuple):
    """A change of layout: `forward` takes PyTorch's arrays, `backward` returns them."""

    forward: Callable[..., np.ndarray]
    backward: Callable[[np.ndarray], tuple[np.ndarray, ...]]


def _permutation(*axes: int) -> Transform:
    inverse = tuple(int(axis) for axis in np.argsort(axes))
    return Transform(lambda w: w.transpose(axes), lambda w: (w.transpose(inverse),))


AS_IT_IS = Transform(lambda w: w, lambda w: (w,))
CONV = _permutation(2, 1, 0)
CONV_TRANSPOSE = _permutation(2, 0, 1)
MATRIX = _permutation(1, 0)
SUM = Transform(np.add, lambda b: (b, np.zeros_like(b)))
STACK = Transform(lambda *books: np.stack(books), tuple)
SNAKE = Transform(lambda a: a[0, :, 0], lambda a: (a[None, :, None],))
STACK_CONV = Transform(lambda *ws: np.stack([w[..., 0].T for w in ws]), lambda w: tuple(m.T[..., None] for m in w))
BATCH_OF_ONE = Transform(lambda w: w[0] if w.ndim == 3 and len(w) == 1 else w, lambda w: (w[None],))


def fold_weight_norm(g: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Kernel `g * v / ||v||`, the norm over all axes but the first (`torch.nn.utils.weight_norm`, dim 0).

    The first axis is the output channel of a convolution and the input channel of a transposed one.

    >>> float(fold_weight_norm(np.full((1, 1, 1), 10.0), np.array([[[3.0, 4.0]]]))[0, 0, 1])
    8.0
    """
    g, v = np.asarray(g, np.float64), np.asarray(v, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # a zero kernel gives NaN, which the engine reports
        return g * (v / np.sqrt(np.square(v).sum((1, 2), keepdims=True)))


def unfold_weight_norm(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`g` and `v` with `fold_weight_norm(g, v) == w`."""
    return np.sqrt(np.square(np.asarray(w, np.float64)).sum((1, 2), keepdims=True)), w
