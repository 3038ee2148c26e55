"""Convolutions as EnCodec pads and trims them, written as dense products where that is faster.

Padding (`encodec/modules/conv.py`), with `total = k - s` and `extra` so that the output has ceil(n / s) frames:

    causal    |<- total ->| x x x x x x x |<- extra ->|
    centred   |<- total - total//2 ->| x x x x x x x |<- total//2 + extra ->|

All padding is plain integer arithmetic on static shapes.

Arrays are in rows: `[b, n / f, f * c]` holds f samples of c channels side by side, and is `[b, n, c]` in memory. A
convolution is a product of neighbouring rows with a kernel in which its taps stand where the row's samples need them
(`kernel_of_rows`): exact, for every f. Long rows suit matrix units, which pad channels to their width; each layer
takes the rows that it is given, and `core.lanes` says how long they are on a backend.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.custom_derivatives import SymbolicZero

from audex_jax.core.initializers import group_norm, init_param
from audex_jax.core.lanes import lanes
from audex_jax.core.types import Array, Float

PadMode = Literal["reflect", "constant"]
NARROW = 128  # a convolution of at most so many pairs of input and output channels makes rows of its own


def conv_padding(length: int, kernel: int, stride: int, causal: bool) -> tuple[int, int]:
    """Samples to add on the left and on the right of `length` samples.

    >>> conv_padding(24_001, kernel=4, stride=2, causal=True)
    (2, 1)
    >>> conv_padding(12_001, kernel=8, stride=4, causal=False)
    (2, 5)
    """
    total = kernel - stride
    extra = -length % stride
    if causal:
        return total, extra
    right = total // 2
    return total - right, right + extra


def transpose_trim(stride: int, kernel: int, causal: bool) -> tuple[int, int]:
    """Samples to cut off the left and the right of a transposed convolution's full output.

    >>> transpose_trim(stride=5, kernel=10, causal=False)
    (3, 2)
    """
    total = kernel - stride
    right = total if causal else total // 2
    return total - right, right


def pad_time(x: Float[Array, "b n c"], left: int, right: int, mode: PadMode) -> Float[Array, "b m c"]:
    """Pad the time axis. Reflection on a clip shorter than the padding follows EnCodec, not `jnp.pad`.

    EnCodec appends zeros on the right until the clip can be reflected, and cuts them off again afterwards
    (`encodec/modules/conv.py`, `pad1d`); `jnp.pad` would bounce back and forth inside the clip instead.
    """
    if mode == "constant":
        return jnp.pad(x, ((0, 0), (left, right), (0, 0)))
    widest, length = max(left, right), x.shape[1]
    zeros = max(0, widest - length + 1)
    if zeros:
        x = jnp.pad(x, ((0, 0), (0, zeros), (0, 0)))
    x = jnp.pad(x, ((0, 0), (left, right), (0, 0)), mode="reflect")
    return x[:, : x.shape[1] - zeros]


@jax.custom_jvp
def elu(x: Array) -> Array:
    """ELU with alpha 1 as `exp(x) - 1` below zero: vectorises on every backend, within 3e-8 of `expm1`."""
    return jnp.where(x > 0, x, jnp.exp(jnp.minimum(x, 0)) - 1)


@elu.defjvp
def _elu_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """Its slope below zero is its value plus 1, so that gradients need no exponential of their own."""
    y = elu(*primals)
    return y, tangents[0] * jnp.where(y > 0, 1, y + 1)


def fold_for(samples: int, channels: int, now: int = 1) -> int:
    """Samples a row that suit the backend, or as many as it has `now` if these are up to twice as many."""
    least = max(1, lanes() // channels)
    return now if 1 < least <= now <= 2 * least else least if samples % least == 0 else 1


def in_rows(x: Float[Array, "b m fc"], channels: int, fold: int) -> Float[Array, "b l gc"]:
    """The same samples in rows of `fold`.

    >>> in_rows(jnp.zeros((1, 6, 8)), 4, 3).shape
    (1, 4, 12)
    """
    return x if x.shape[2] == fold * channels else x.reshape(len(x), -1, fold * channels)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def correlate(x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], pad: tuple[int, int]) -> Float[Array, "b m o"]:
    """XLA's convolution of `x` with `pad` zeros on either side; tap j meets row `t + j - pad[0]`.

    The rule below does not change its derivatives, only how they are computed. In the gradient with respect to `x` JAX
    reads the kernel with its two channel axes exchanged. XLA:CPU runs such a convolution many times slower inside a
    loop. Here the tangent is a product with the transposed kernel, so that the gradient reads it in the usual order.
    """
    return _correlate(x, kernel, pad, "WIO")


def _correlate(x: Array, kernel: Array, pad: tuple[int, int], order: str) -> Array:
    return jax.lax.conv_general_dilated(x, kernel, (1,), [pad], dimension_numbers=("NWC", order, "NWC"))


def _correlate_jvp(pad: tuple[int, int], primals: tuple[Array, Array], tangents: tuple) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    y = correlate(x, kernel, pad)
    dy = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        dy = _correlate(dx, kernel.swapaxes(1, 2), pad, "WOI")
    if not isinstance(dkernel, SymbolicZero):
        by_kernel = correlate(x, dkernel, pad)
        dy = by_kernel if isinstance(dx, SymbolicZero) else dy + by_kernel
    return y, dy


correlate.defjvp(_correlate_jvp, symbolic_zeros=True)


def row_size(samples: int, fold: int, taps: int, inputs: int, outputs: int, stride: int) -> int:
    """Samples in the rows that a convolution is computed on.

    >>> row_size(24_000, 1, 8, 64, 128, stride=4), row_size(24_000, 1, 7, 1, 32, stride=1)
    (4, 8)
    """
    if stride > 1:
        return fold if fold % stride == 0 else stride
    narrow = fold == 1 < taps and inputs * outputs <= NARROW
    row = 1 << (taps - 2).bit_length() if narrow else fold  # the least power of 2 that holds all taps but one
    return row if samples > row and samples % row == 0 else fold


def kernel_of_rows(kernel: Float[Array, "k c o"], row: int, stride: int, offset: int) -> Float[Array, "m rc qo"]:
    """The kernel that makes rows of `row // stride` outputs of as many rows of `row` samples as these read.

    Args:
        kernel: of single samples.
        row: samples a row, a multiple of the stride.
        stride: of the convolution.
        offset: the sample that the first tap of the first output reads, counted from the first row's beginning.
    """
    taps, inputs, outputs = kernel.shape
    rows = -(-(offset + row - stride + taps) // row)
    starts = range(offset, offset + row, stride)
    shifted = [jnp.pad(kernel, ((at, rows * row - at - taps), (0, 0), (0, 0))) for at in starts]
    return jnp.stack(shifted, 2).reshape(rows, row * inputs, len(starts) * outputs)


def convolve(
    x: Float[Array, "b m fc"], kernel: Float[Array, "k c o"], stride: int, causal: bool, mode: PadMode
) -> Float[Array, "b l go"]:
    """Convolution of `x` as EnCodec pads it, in rows; of as many samples as before where the stride divides them.

    XLA pads with zeros, which costs nothing, and small products with the reflected samples, zeros elsewhere, are added
    to the outputs: like the bias, and in the same pass, which an update in place would break in two. Where that would
    read more rows than need be, or not all rows are full, `x` is padded beforehand; on backends whose rows are single
    samples, too, where a copy costs less than a product.
    """
    taps, inputs, outputs = kernel.shape
    fold = x.shape[2] // inputs
    samples = fold * x.shape[1]
    left, right = conv_padding(samples, taps, stride, causal)
    row = row_size(samples, fold, taps, inputs, outputs, stride)
    before, after = -(-left // row), -(-right // row)
    spare = (stride - taps) % row  # samples of the first row that no output reads
    needless = lanes() == 1 or before + after > (spare + taps - stride) // row
    if needless or samples % row or max(left, right) >= samples or before + after > samples // row:
        x = pad_time(in_rows(x, inputs, 1), left + spare, right, mode)
        return correlate(in_rows(x, inputs, row), kernel_of_rows(kernel, row, stride, spare), (0, 0))
    x = in_rows(x, inputs, row)
    product = kernel_of_rows(kernel, row, stride, before * row - left)
    y = correlate(x, product, (before, after))
    if mode == "constant":
        return y
    if before:
        near = in_rows(x[:, : left // row + 1], inputs, 1)[:, left:0:-1]
        near = jnp.pad(near, ((0, 0), (before * row - left, 0), (0, 0)))
        first = correlate(in_rows(near, inputs, row), product[:before], (0, before - 1))
        y = y + pad_time(first, 0, y.shape[1] - before, "constant")
    if after:
        near = in_rows(x[:, -(right // row + 1) :], inputs, 1)[:, -2 : -2 - right : -1]
        near = jnp.pad(near, ((0, 0), (0, after * row - right), (0, 0)))
        last = correlate(in_rows(near, inputs, row), product[-after:], (after - 1, 0))
        y = y + pad_time(last, y.shape[1] - after, 0, "constant")
    return y


class Conv1d(nnx.Module):
    """Padded convolution, `[b, n, in] -> [b, ceil(n / stride), out]`, both in rows; kernel `[k, in, out]`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        causal: bool,
        pad_mode: PadMode,
        norm: bool,
        rngs: nnx.Rngs | None,
    ):
        self.stride, self.causal = stride, causal
        self.pad_mode: PadMode = pad_mode
        init = nnx.initializers.orthogonal()
        self.kernel = nnx.Param(init_param(init, rngs, (kernel, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))
        self.norm = group_norm(outputs) if norm else None

    def __call__(self, x: Float[Array, "b m fc"]) -> Float[Array, "b l go"]:
        kernel, bias = self.kernel[...], self.bias[...]
        y = convolve(x, kernel, self.stride, self.causal, self.pad_mode)
        if x.shape[2] == kernel.shape[1]:  # a sample a row: the rows are the convolution's own
            y = in_rows(y, len(bias), 1)
        fold = y.shape[2] // len(bias)
        y = y + jnp.tile(bias, fold)
        return y if self.norm is None else in_rows(self.norm(in_rows(y, len(bias), 1)), len(bias), fold)


class ConvTranspose1d(nnx.Module):
    """Trimmed transposed convolution with kernel = 2 x stride, `[b, t, in] -> [b, t * stride, out]`, both in rows.

    Kernel `[k, in, out]`, tap j adding to output sample `t * stride + j`. A row writes into its own outputs and, with
    the second half of its last sample's kernel, into those of the row after it.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, causal: bool, norm: bool, rngs: nnx.Rngs | None):
        self.stride, self.causal = stride, causal
        init = nnx.initializers.orthogonal(scale=stride**0.5)  # a sample receives two of the 2 x stride taps
        self.kernel = nnx.Param(init_param(init, rngs, (2 * stride, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))
        self.norm = group_norm(outputs) if norm else None

    def __call__(self, x: Float[Array, "b m fc"]) -> Float[Array, "b l go"]:
        kernel, bias, stride = self.kernel[...], self.bias[...], self.stride
        _, inputs, outputs = kernel.shape
        fold = x.shape[2] // inputs
        samples, row = x.shape[1] * fold * stride, fold * stride
        # [f, 2, row, in, out]: where each sample of a row writes in this row and in the next
        places = [jnp.pad(kernel, ((at, 2 * (row - stride) - at), (0, 0), (0, 0))) for at in range(0, row, stride)]
        product = jnp.stack(places).reshape(fold, 2, row, inputs, outputs)
        product = product.transpose(1, 0, 3, 2, 4).reshape(2, fold * inputs, row * outputs)[::-1]
        left, _ = transpose_trim(stride, 2 * stride, self.causal)
        # all that is written is needed, the last row's part beyond it, too; a CPU is faster with padding at both ends
        whole = left > 0 or self.norm is not None or lanes() == 1
        y = correlate(x, product, (1, int(whole)))
        if not whole:
            return y + jnp.tile(bias, row)
        y = in_rows(y, outputs, 1)[:, : samples + stride] + bias
        y = (y if self.norm is None else self.norm(y))[:, left : left + samples]
        return in_rows(y, outputs, fold_for(samples, outputs, row))
