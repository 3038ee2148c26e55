"""SEANet as Mimi has it: that of EnCodec, causal, padded with zeros, without LSTM (`moshi/modules/seanet.py`).

The lists of layers keep the reference's indices, as in `encodec.seanet`, whose layers these are.
"""

import functools

from flax import nnx

from audex_jax.codecs.encodec.conv import Conv1d, ConvTranspose1d, fold_for, in_rows
from audex_jax.codecs.encodec.seanet import Elu, ResidualBlock
from audex_jax.codecs.mimi.config import MimiConfig
from audex_jax.core.types import Array, Audio, Float


class Encoder(nnx.Module):
    """Audio `[b, n, c]` to frames `[b, ceil(n / product of ratios), width]`."""

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        conv = functools.partial(Conv1d, causal=True, pad_mode="constant", norm=False, rngs=rngs)
        channels = self.filters = config.filters
        layers: list[nnx.Module] = [conv(config.channels, channels, config.kernel_size)]
        for ratio in reversed(config.ratios):
            block = ResidualBlock(config.seanet, channels, rngs)
            layers += [block, Elu(), conv(channels, 2 * channels, 2 * ratio, ratio)]
            channels *= 2
        layers += [Elu(), conv(channels, config.width, config.last_kernel_size)]
        self.width, self.layers = config.width, nnx.List(layers)

    def __call__(self, audio: Audio) -> Float[Array, "b t w"]:
        x = in_rows(audio, audio.shape[2], fold_for(audio.shape[1], self.filters))
        for layer in self.layers:
            x = layer(x)
        return in_rows(x, self.width, 1)


class Decoder(nnx.Module):
    """Frames `[b, t, width]` to audio `[b, t * product of ratios, c]`."""

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        conv = functools.partial(Conv1d, causal=True, pad_mode="constant", norm=False, rngs=rngs)
        self.channels = config.channels
        channels = config.filters * 2 ** len(config.ratios)
        layers: list[nnx.Module] = [conv(config.width, channels, config.kernel_size)]
        for ratio in config.ratios:
            up = ConvTranspose1d(channels, channels // 2, ratio, causal=True, norm=False, rngs=rngs)
            channels //= 2
            layers += [Elu(), up, ResidualBlock(config.seanet, channels, rngs)]
        layers += [Elu(), conv(channels, config.channels, config.last_kernel_size)]
        self.layers = nnx.List(layers)

    def __call__(self, x: Float[Array, "b t w"]) -> Audio:
        for layer in self.layers:
            x = layer(x)
        return in_rows(x, self.channels, 1)
