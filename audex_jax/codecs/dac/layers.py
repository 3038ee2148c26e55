"""Encoder and decoder of DAC (`dac/model/dac.py`, `dac/nn/layers.py`), without their weight norm, which is folded.

Convolutions pad with zeros on both sides. Those with a stride s have 2 s taps and pad with ceil(s / 2) samples:

    down    floor((n + 2 ceil(s / 2)) / s) - 1 frames of n samples: n / s, if s divides n
    up      (t + 1) s - 2 ceil(s / 2) samples of t frames: t s, and one less if s is odd

Both are products of rows of s samples, with 2 taps. Names are those of Hugging Face's `DacModel`.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.custom_derivatives import SymbolicZero

from audex_jax.codecs.dac.config import DacConfig
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Audio, Float

TAPS, DILATIONS = 7, (1, 3, 9)  # of the residual units


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def correlate(
    x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], pad: tuple[int, int], dilation: int
) -> Float[Array, "b m o"]:
    """XLA's convolution of `x` with `pad` zeros on either side; tap j meets sample `t + dilation j - pad[0]`.

    The rule below changes only how derivatives are computed: the gradient reads the kernel in the usual order of its
    axes, without which XLA:CPU runs it many times slower inside a loop.
    """
    return _correlate(x, kernel, pad, dilation, "WIO")


def _correlate(x: Array, kernel: Array, pad: tuple[int, int], dilation: int, order: str) -> Array:
    numbers = ("NWC", order, "NWC")
    return jax.lax.conv_general_dilated(x, kernel, (1,), [pad], rhs_dilation=(dilation,), dimension_numbers=numbers)


def _correlate_jvp(pad: tuple[int, int], dilation: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    y = correlate(x, kernel, pad, dilation)
    dy = jnp.zeros_like(y)
    if not isinstance(dx, SymbolicZero):
        dy = _correlate(dx, kernel.swapaxes(1, 2), pad, dilation, "WOI")
    if not isinstance(dkernel, SymbolicZero):
        by_kernel = correlate(x, dkernel, pad, dilation)
        dy = by_kernel if isinstance(dx, SymbolicZero) else dy + by_kernel
    return y, dy


correlate.defjvp(_correlate_jvp, symbolic_zeros=True)


class Conv(nnx.Module):
    """Convolution that keeps the number of samples, `[b, n, in] -> [b, n, out]`; kernel `[k, in, out]`, k odd."""

    def __init__(self, inputs: int, outputs: int, taps: int, rngs: nnx.Rngs | None, dilation: int = 1):
        self.dilation, self.side = dilation, (taps - 1) // 2 * dilation
        self.kernel = nnx.Param(init_param(nnx.initializers.orthogonal(), rngs, (taps, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))

    def __call__(self, x: Float[Array, "b n i"]) -> Float[Array, "b n o"]:
        return correlate(x, self.kernel[...], (self.side, self.side), self.dilation) + self.bias[...]


class Down(nnx.Module):
    """Convolution of stride s, `[b, n, in] -> [b, m, out]`; kernel `[2 s, in, out]`."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs | None):
        self.stride = stride
        self.kernel = nnx.Param(init_param(nnx.initializers.orthogonal(), rngs, (2 * stride, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))

    def __call__(self, x: Float[Array, "b n i"]) -> Float[Array, "b m o"]:
        stride, (_, inputs, outputs) = self.stride, self.kernel.shape
        side = -(-stride // 2)
        rows = (x.shape[1] + 2 * side) // stride
        x = jnp.pad(x, ((0, 0), (side, side), (0, 0)))[:, : rows * stride]
        x = x.reshape(len(x), rows, stride * inputs)
        return correlate(x, self.kernel[...].reshape(2, stride * inputs, outputs), (0, 0), 1) + self.bias[...]


class Up(nnx.Module):
    """Transposed convolution of stride s, `[b, t, in] -> [b, m, out]`; kernel `[2 s, in, out]`.

    Tap j of frame t adds to sample `t s + j - ceil(s / 2)`: a frame writes into a row of s samples and the one after.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs | None):
        self.stride = stride
        init = nnx.initializers.orthogonal(scale=stride**0.5)  # a sample receives two of the 2 s taps
        self.kernel = nnx.Param(init_param(init, rngs, (2 * stride, inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros((outputs,)))

    def __call__(self, x: Float[Array, "b t i"]) -> Float[Array, "b m o"]:
        stride, (_, inputs, outputs) = self.stride, self.kernel.shape
        product = self.kernel[...].reshape(2, stride, inputs, outputs).transpose(0, 2, 1, 3)[::-1]
        y = correlate(x, product.reshape(2, inputs, stride * outputs), (1, 1), 1)
        side = -(-stride // 2)
        return y.reshape(len(y), -1, outputs)[:, side : y.shape[1] * stride - side] + self.bias[...]


class Snake(nnx.Module):
    """`x + sin^2(a x) / (a + 1e-9)`, one `a` a channel (Ziyin et al. 2020, arXiv 2006.08195)."""

    def __init__(self, channels: int, rngs: nnx.Rngs | None):
        self.alpha = nnx.Param(init_param(nnx.initializers.ones, rngs, (channels,)))

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        alpha = self.alpha[...]
        return x + jnp.square(jnp.sin(alpha * x)) / (alpha + 1e-9)


class ResidualUnit(nnx.Module):
    """`x + conv1(snake(conv7(snake(x))))`, the first convolution dilated."""

    def __init__(self, width: int, dilation: int, rngs: nnx.Rngs | None):
        self.snake1 = Snake(width, rngs)
        self.conv1 = Conv(width, width, TAPS, rngs, dilation)
        self.snake2 = Snake(width, rngs)
        self.conv2 = Conv(width, width, 1, rngs)

    def __call__(self, x: Float[Array, "b n c"]) -> Float[Array, "b n c"]:
        return x + self.conv2(self.snake2(self.conv1(self.snake1(x))))


class EncoderBlock(nnx.Module):
    """Three residual units, then down by a stride."""

    def __init__(self, width: int, stride: int, rngs: nnx.Rngs | None):
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(width, d, rngs) for d in DILATIONS)
        self.snake1 = Snake(width, rngs)
        self.conv1 = Down(width, 2 * width, stride, rngs)

    def __call__(self, x: Float[Array, "b n i"]) -> Float[Array, "b m o"]:
        return self.conv1(self.snake1(self.res_unit3(self.res_unit2(self.res_unit1(x)))))


class DecoderBlock(nnx.Module):
    """Up by a stride, then three residual units."""

    def __init__(self, width: int, stride: int, rngs: nnx.Rngs | None):
        self.snake1 = Snake(width, rngs)
        self.conv_t1 = Up(width, width // 2, stride, rngs)
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(width // 2, d, rngs) for d in DILATIONS)

    def __call__(self, x: Float[Array, "b n i"]) -> Float[Array, "b m o"]:
        return self.res_unit3(self.res_unit2(self.res_unit1(self.conv_t1(self.snake1(x)))))


class Encoder(nnx.Module):
    """Audio `[b, n, 1]` to what is quantised, `[b, t, d]`; t is `n / hop`, if the hop divides n."""

    def __init__(self, config: DacConfig, *, rngs: nnx.Rngs | None):
        width = config.filters
        self.conv1 = Conv(1, width, TAPS, rngs)
        blocks = []
        for stride in config.strides:
            blocks.append(EncoderBlock(width, stride, rngs))
            width *= 2
        self.block = nnx.List(blocks)
        self.snake1 = Snake(width, rngs)
        self.conv2 = Conv(width, config.dim, 3, rngs)

    def __call__(self, audio: Audio) -> Float[Array, "b t d"]:
        x = self.conv1(audio)
        for block in self.block:
            x = block(x)
        return self.conv2(self.snake1(x))


class Decoder(nnx.Module):
    """What was quantised, `[b, t, d]`, to audio `[b, n, 1]`; n is at most t * hop, and less if a stride is odd."""

    def __init__(self, config: DacConfig, *, rngs: nnx.Rngs | None):
        width = config.decoder_filters
        self.conv1 = Conv(config.dim, width, TAPS, rngs)
        blocks = []
        for stride in reversed(config.strides):
            blocks.append(DecoderBlock(width, stride, rngs))
            width //= 2
        self.block = nnx.List(blocks)
        self.snake1 = Snake(width, rngs)
        self.conv2 = Conv(width, 1, TAPS, rngs)

    def __call__(self, quantised: Float[Array, "b t d"]) -> Audio:
        x = self.conv1(quantised)
        for block in self.block:
            x = block(x)
        return jnp.tanh(self.conv2(self.snake1(x)))
