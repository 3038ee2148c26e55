"""SEANet: the encoder and the decoder of EnCodec (`encodec/modules/seanet.py`, `encodec/modules/lstm.py`).

The lists of layers keep the reference's integer indices (activations own no weights but take an index), so a
published tensor `encoder.model.3.conv...` is `encoder.layers[3]` here. Between layers arrays are in rows of several
samples, see `conv`; each residual block brings them into rows that suit the backend, and its neighbours keep these.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.codecs.encodec.conv import Conv1d, ConvTranspose1d, elu, fold_for, in_rows
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Audio, Float, Latent


class Elu(nnx.Module):
    """Holds an activation's place in the list of layers."""

    def __call__(self, x: Array) -> Array:
        return elu(x)


class ResidualBlock(nnx.Module):
    """`shortcut(x) + conv1(elu(conv3(elu(x))))`; the shortcut sees the raw input."""

    def __init__(self, config: EncodecConfig, width: int, rngs: nnx.Rngs | None):
        conv = functools.partial(_conv, config, rngs)
        hidden = width // config.compress
        self.width = width
        self.narrow = conv(width, hidden, config.residual_kernel_size)
        self.widen = conv(hidden, width, 1)
        self.shortcut = conv(width, width, 1) if config.shortcut == "conv" else None

    def __call__(self, x: Float[Array, "b m fc"]) -> Float[Array, "b l gc"]:
        fold = x.shape[2] // self.width
        x = in_rows(x, self.width, fold_for(x.shape[1] * fold, self.width, fold))
        y = self.widen(elu(self.narrow(elu(x))))
        return y + (x if self.shortcut is None else self.shortcut(x))


class LSTMLayer(nnx.Module):
    """One unidirectional LSTM layer, `[b, t, d] -> [b, t, d]`, zero initial state.

    Gates are stacked i, f, g, o as in PyTorch (`torch.nn.LSTM`); the single bias is the sum of PyTorch's two. The
    input projection of all frames is one product outside the scan.
    """

    def __init__(self, width: int, rngs: nnx.Rngs | None):
        shape = width, 4 * width
        self.input_kernel = nnx.Param(init_param(nnx.initializers.lecun_normal(), rngs, shape))
        self.recurrent_kernel = nnx.Param(init_param(nnx.initializers.orthogonal(), rngs, shape))
        self.bias = nnx.Param(jnp.zeros((4 * width,)))

    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
        recurrent = self.recurrent_kernel[...]
        single = len(x) == 1  # likely mapped over clips, whose axis is enough: a TPU pads one of length 1
        # frames first, ahead of the product: each turn of the loop reads what lies together
        x = x[0] if single else x.swapaxes(0, 1)
        projected = x @ self.input_kernel[...] + self.bias[...]

        def step(carry, gates_in):
            hidden, cell = carry
            gates = gates_in + hidden @ recurrent
            i, f, _, o = jnp.split(jax.nn.sigmoid(gates), 4, axis=-1)
            cell = f * cell + i * jnp.tanh(jnp.split(gates, 4, axis=-1)[2])
            hidden = o * jnp.tanh(cell)
            return (hidden, cell), hidden

        start = jnp.zeros_like(x[0])
        _, y = jax.lax.scan(step, (start, start), projected)
        return y[None] if single else y.swapaxes(0, 1)


class LSTM(nnx.Module):
    """A stack of LSTM layers with a skip connection around the whole, `LSTM(x) + x`."""

    def __init__(self, config: EncodecConfig, width: int, rngs: nnx.Rngs | None):
        self.width = width
        self.layers = nnx.List([LSTMLayer(width, rngs) for _ in range(config.lstm_layers)])

    def __call__(self, x: Float[Array, "b m fd"]) -> Float[Array, "b t d"]:
        y = x = in_rows(x, self.width, 1)
        for layer in self.layers:
            y = layer(y)
        return y + x


class Encoder(nnx.Module):
    """Audio `[b, n, c]` to latent `[b, ceil(n / hop), d]`."""

    def __init__(self, config: EncodecConfig, *, rngs: nnx.Rngs | None):
        conv = functools.partial(_conv, config, rngs)
        width = self.filters = config.filters
        layers: list[nnx.Module] = [conv(config.channels, width, config.kernel_size)]
        for ratio in reversed(config.ratios):
            layers += [ResidualBlock(config, width, rngs), Elu(), conv(width, 2 * width, 2 * ratio, ratio)]
            width *= 2
        layers += [LSTM(config, width, rngs), Elu(), conv(width, config.dim, config.last_kernel_size)]
        self.layers = nnx.List(layers)

    def __call__(self, audio: Audio) -> Latent:
        x = in_rows(audio, audio.shape[2], fold_for(audio.shape[1], self.filters))
        for layer in self.layers:
            x = layer(x)
        return x


class Decoder(nnx.Module):
    """Latent `[b, t, d]` to audio `[b, t * hop, c]`."""

    def __init__(self, config: EncodecConfig, *, rngs: nnx.Rngs | None):
        conv = functools.partial(_conv, config, rngs)
        self.channels = config.channels
        width = config.filters * 2 ** len(config.ratios)
        layers: list[nnx.Module] = [conv(config.dim, width, config.kernel_size), LSTM(config, width, rngs)]
        for ratio in config.ratios:
            up = ConvTranspose1d(width, width // 2, ratio, causal=config.causal, norm=config.norm == "group", rngs=rngs)
            width //= 2
            layers += [Elu(), up, ResidualBlock(config, width, rngs)]
        layers += [Elu(), conv(width, config.channels, config.last_kernel_size)]
        self.layers = nnx.List(layers)

    def __call__(self, latent: Latent) -> Audio:
        x = latent
        for layer in self.layers:
            x = layer(x)
        return in_rows(x, self.channels, 1)


def _conv(
    config: EncodecConfig, rngs: nnx.Rngs | None, inputs: int, outputs: int, kernel: int, stride: int = 1
) -> Conv1d:
    return Conv1d(
        inputs,
        outputs,
        kernel,
        stride,
        causal=config.causal,
        pad_mode=config.pad_mode,
        norm=config.norm == "group",
        rngs=rngs,
    )
