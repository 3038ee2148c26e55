"""Convolutions as EnCodec pads and trims them, written as dense products where that is faster.

Padding (`encodec/modules/conv.py`), with `total = k - s` and `extra` so that the output has ceil(n / s) frames:

    causal    |<- total ->| x x x x x x x |<- extra ->|
    centred   |<- total - total//2 ->| x x x x x x x |<- total//2 + extra ->|

All padding is plain integer arithmetic on static shapes. Convolutions are computed on frames: a convolution whose
kernel is twice its stride (all of EnCodec's resampling layers) is one of 2 taps and stride 1 on frames of `stride`
samples; a transposed one likewise; and one of few channels is one of 2 taps on frames that are as long as its kernel
reaches. These are exact rewrites. `NARROW` is the only number in them that depends on the backend.
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.custom_derivatives import SymbolicZero

from audex_jax.core.initializers import group_norm, init_param
from audex_jax.core.types import Array, Float

PadMode = Literal["reflect", "constant"]
NARROW = 128  # a convolution of at most so many pairs of input and output channels is computed on frames


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


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def correlate(x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], stride: int, pad: int) -> Float[Array, "b m o"]:
    """XLA's convolution of `x` with `pad` zeros on either side; tap j meets sample `t * stride + j - pad`.

    The rule below does not change its derivatives, only how they are computed. In the gradient with respect to `x` JAX
    reads the kernel with its two channel axes exchanged. XLA:CPU runs such a convolution many times slower inside a
    loop. Here the tangent is a product with the transposed kernel, so that the gradient reads it in the usual order.
    """
    return _correlate(x, kernel, stride, pad, "WIO")


def _correlate(x: Array, kernel: Array, stride: int, pad: int, order: str) -> Array:
    labels = ("NWC", order, "NWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,), [(pad, pad)], dimension_numbers=labels)


def _correlate_jvp(stride: int, pad: int, primals: tuple[Array, Array], tangents: tuple) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    y = correlate(x, kernel, stride, pad)
    dy = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        dy = _correlate(dx, kernel.swapaxes(1, 2), stride, pad, "WOI")
    if not isinstance(dkernel, SymbolicZero):
        by_kernel = correlate(x, dkernel, stride, pad)
        dy = by_kernel if isinstance(dx, SymbolicZero) else dy + by_kernel
    return y, dy


correlate.defjvp(_correlate_jvp, symbolic_zeros=True)


def frame_size(samples: int, taps: int, inputs: int, outputs: int, stride: int) -> int:
    """Samples a frame on which a convolution becomes a dense product of two frames; 0 if it is left as it is.

    >>> frame_size(24_000, 8, 64, 128, stride=4), frame_size(24_000, 7, 1, 32, stride=1)
    (4, 8)
    """
    if taps == 2 * stride:
        return stride
    if stride > 1 or taps == 1 or inputs * outputs > NARROW:
        return 0
    frame = 1 << (taps - 2).bit_length()  # the least power of 2 that holds all taps but one
    return frame if samples > frame and samples % frame == 0 else 0


def convolve(
    x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], stride: int, left: int, right: int, mode: PadMode
) -> Float[Array, "b m o"]:
    """Convolution of `x` with `left` and `right` samples of padding."""
    taps, inputs, outputs = kernel.shape
    frame = frame_size(x.shape[1], taps, inputs, outputs, stride)
    if not frame:
        return correlate(pad_time(x, left, right, mode), kernel, stride, 0)
    spare = frame + stride - taps  # samples of the first frame that no output reads
    x = pad_time(x, left + spare, right, mode).reshape(len(x), -1, frame * inputs)
    starts = range(spare, spare + frame, stride)
    shifted = [jnp.pad(kernel, ((at, 2 * frame - at - taps), (0, 0), (0, 0))) for at in starts]
    product = jnp.stack(shifted, 2).reshape(2, frame * inputs, len(starts) * outputs)
    return correlate(x, product, 1, 0).reshape(len(x), -1, outputs)


class Conv1d(nnx.Module):
    """Padded convolution, `[b, n, in] -> [b, ceil(n / stride), out]`; kernel `[k, in, out]`."""

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

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b m o"]:
        kernel = self.kernel[...]
        left, right = conv_padding(x.shape[1], len(kernel), self.stride, self.causal)
        y = convolve(x, kernel, self.stride, left, right, self.pad_mode) + self.bias[...]
        return y if self.norm is None else self.norm(y)


class ConvTranspose1d(nnx.Module):
    """Trimmed transposed convolution with kernel = 2 x stride, `[b, t, in] -> [b, t * stride, out]`.

    Kernel `[k, in, out]`, tap j adding to output sample `t * stride + j`. The two halves of the kernel are two dense
    maps from a frame to `stride` output samples: frame t writes its first half over its own samples and its second
    half over those of frame t + 1.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, causal: bool, norm: bool, rngs: nnx.Rngs | None):
        self.stride, self.causal = stride, causal
        init = nnx.initializers.orthogonal(scale=stride**0.5)  # a sample receives two of the 2 x stride taps
        self.kernel = nnx.Param(init_param(init, rngs, (2 * stride, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))
        self.norm = group_norm(outputs) if norm else None

    def __call__(self, x: Float[Array, "b t c"]) -> Float[Array, "b n o"]:
        kernel, stride = self.kernel[...], self.stride
        _, inputs, outputs = kernel.shape
        batch, frames, _ = x.shape
        # [2, in, stride * out]: tap 0 meets the frame before (second half of its kernel), tap 1 the frame itself
        halves = kernel.reshape(2, stride, inputs, outputs).transpose(0, 2, 1, 3).reshape(2, inputs, stride * outputs)
        y = correlate(x, halves[::-1], 1, 1)
        y = y.reshape(batch, (frames + 1) * stride, outputs) + self.bias[...]
        if self.norm is not None:
            y = self.norm(y)
        left, _ = transpose_trim(stride, 2 * stride, self.causal)
        return y[:, left : left + frames * stride]
