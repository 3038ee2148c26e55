"""Convolutions over a log-mel spectrogram: a classifier of audio, which knows no codec.

The clip at unit level, its log-mel spectrogram, standardised, layers of 3 x 3 convolution with strides of 2, layer
normalisation and ReLU, mean and maximum over the clip's own frames, linear out.
"""

import dataclasses
import itertools
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.classifiers._layers import dropout as drop
from audex_jax.classifiers._layers import neighbours, pool
from audex_jax.core.configs import Between, Rate, Size, check, config_from
from audex_jax.core.initializers import layer_norm, linear
from audex_jax.core.mel import mel_filters
from audex_jax.core.types import Array, Bool, ClipValid, Float

SIZE = 3  # of the convolutions, in frames and in bands
FLOOR = 1e-2  # magnitudes below it, 40 dB below unit level, count as silence
LEAST = 8  # channels; a norm over fewer would leave little more than signs


@dataclasses.dataclass(frozen=True)
class LogMelConfig:
    """Shape of the classifier.

    Attributes:
        sample_rate: of the audio that it reads, in Hz.
        classes: number of labels.
        width, layers: channels of the last convolution, each before it has half as many, at least 8; their number.
        bands: of the spectrogram, at most; half the number of frequencies in short windows.
        hop_seconds: from one frame to the next; windows are four times as long.
    """

    sample_rate: Rate
    classes: Size
    width: Size = 96
    layers: Annotated[int, Between(1, 16)] = 3
    bands: Annotated[int, Between(1, 256)] = 40
    hop_seconds: Annotated[float, Between(1e-4, 0.1)] = 0.008

    def __post_init__(self):
        check(self)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return max(1, round(self.hop_seconds * self.sample_rate))

    @property
    def heights(self) -> tuple[int, ...]:
        """Bands ahead of each layer, and after the last."""
        found = [min(self.bands, self.hop + 1)]
        for _ in range(self.layers):
            found.append(-(-found[-1] // 2))
        return tuple(found)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "LogMelConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


def log_mel(
    clip: Float[Array, "n c"], valid: Bool[Array, " n"], config: LogMelConfig
) -> tuple[Float[Array, "t m"], ClipValid]:
    """Log-mel spectrogram `[t, m]` of a clip, of zero mean and unit variance, and its own frames `[t]`.

    The layers hardly learn from what is not centred.
    """
    hop = config.hop
    own = jnp.where(valid, clip.mean(1), 0)
    own = own / jnp.sqrt(jnp.square(own).sum() / jnp.maximum(valid.sum(), 1) + 1e-10)
    blocks = jnp.pad(own, (2 * hop, hop + -len(own) % hop)).reshape(-1, hop)
    frames = len(blocks) - 3
    windows = jnp.concatenate([blocks[i : i + frames] for i in range(4)], -1)
    hann = np.sqrt(2 / 3 / (4 * hop)) * (1 - np.cos(2 * np.pi * np.arange(4 * hop) / (4 * hop)))  # unit energy
    spectrum = jnp.fft.rfft(windows * hann.astype(np.float32))
    magnitudes = jnp.sqrt(jnp.square(spectrum.real) + jnp.square(spectrum.imag) + 1e-10)
    mel = magnitudes @ mel_filters(2 * hop + 1, config.heights[0], config.sample_rate)
    places = jnp.pad(valid, (0, -len(own) % hop)).reshape(-1, hop).any(1)
    levels, inside = jnp.log1p(mel / FLOOR), places[:, None]
    count = jnp.maximum(places.sum() * mel.shape[1], 1)
    centred = levels - jnp.where(inside, levels, 0).sum() / count
    deviation = jnp.sqrt(jnp.where(inside, jnp.square(centred), 0).sum() / count + 1e-6)
    return jnp.where(inside, centred / deviation, 0), places


class ConvLayer(nnx.Module):
    """Convolution over frames and bands with strides of 2, `[t, m, i] -> [t / 2, m / 2, o]`."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs | None):
        self.convolution = linear(SIZE * SIZE * inputs, outputs, rngs, nnx.initializers.he_normal())
        self.norm = layer_norm(outputs)

    def __call__(self, x: Float[Array, "t m i"], dropout: float = 0.0, key: Array | None = None) -> Array:
        seen = neighbours(neighbours(x, SIZE, 2), SIZE, 2, axis=1)
        return drop(jax.nn.relu(self.norm(self.convolution(seen))), dropout, key)


class LogMelConvNet(nnx.Module):
    """Logits `[k]` of one clip's audio `[n, c]`; map it over clips with `jax.vmap`. A `core.protocols.Classifier`.

    Without random numbers (`rngs=None`) all kernels are zeros, for those who bring their own.

    >>> classifier = LogMelConvNet(LogMelConfig(sample_rate=1000, classes=3, width=8), rngs=nnx.Rngs(0))
    >>> classifier(jnp.zeros((500, 1)), jnp.ones(500, bool)).shape
    (3,)
    """

    config_class = LogMelConfig
    reads: Literal["latent", "audio"] = "audio"

    def __init__(self, config: LogMelConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        widths = [1, *(max(LEAST, config.width >> i) for i in reversed(range(config.layers)))]
        self.layers = nnx.List([ConvLayer(*pair, rngs) for pair in itertools.pairwise(widths)])
        self.project = linear(config.heights[-1] * widths[-1], config.width, rngs, nnx.initializers.he_normal())
        self.project_out = linear(2 * config.width, config.classes, rngs)

    def __call__(
        self, clip: Float[Array, "n c"], valid: Bool[Array, " n"], dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Classify one clip.

        Args:
            clip: its audio, `[n, c]`; channels are averaged.
            valid: True for the clip's own samples, `[n]`; padded samples influence nothing.
            dropout: share of activations to drop, in training only.
            key: random key for dropout; None for none.

        Returns:
            Logits `[k]`.
        """
        keys = [None] * (len(self.layers) + 1) if key is None else jax.random.split(key, len(self.layers) + 1)
        spectrum, own = log_mel(clip, valid, self.config)
        x = spectrum[..., None]
        for layer, layer_key in zip(self.layers, keys[:-1], strict=True):
            own = own[::2]
            x = jnp.where(own[:, None, None], layer(x, dropout, layer_key), 0)
        x = jax.nn.relu(self.project(x.reshape(len(x), -1)))
        return self.project_out(drop(pool(x, own), dropout, keys[-1]))


FAMILY = LogMelConvNet
