"""Convolutions over latent frames: the plainest classifier that hears an order of frames, without attention.

Linear in, layers of convolution, layer normalisation and ReLU with a way around each, mean and maximum over the clip's
own frames, linear out. It knows no positions, so that clips may have any length.
"""

import dataclasses
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.classifiers._layers import dropout as drop
from audex_jax.classifiers._layers import neighbours, pool
from audex_jax.core.configs import Between, Depth, Gain, Size, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.initializers import layer_norm, linear
from audex_jax.core.types import Array, ClipLatent, ClipValid, Float


@dataclasses.dataclass(frozen=True)
class ConvConfig:
    """Shape of the classifier.

    Attributes:
        dim: width of the latent that it reads.
        classes: number of labels.
        width, layers, kernel: channels, number and length in frames (odd) of the convolutions.
        companding: gain c of `asinh(c * latent)` ahead of the first layer; 0 for none.
    """

    dim: Size
    classes: Size
    width: Size = 128
    layers: Depth = 4
    kernel: Annotated[int, Between(1, 1023)] = 5
    companding: Gain = 0.0

    def __post_init__(self):
        check(self)
        if self.kernel % 2 == 0:
            raise AudexError(f"ConvConfig: kernel is {self.kernel}, not an odd number")

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ConvConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


class ConvLayer(nnx.Module):
    """Convolution over frames with a way around it, `[t, w] -> [t, w]`; frames of padding are taken for zeros."""

    def __init__(self, config: ConvConfig, rngs: nnx.Rngs | None):
        self.size = config.kernel
        self.convolution = linear(config.kernel * config.width, config.width, rngs, nnx.initializers.he_normal())
        self.norm = layer_norm(config.width)

    def __call__(
        self, x: Float[Array, "t w"], valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, "t w"]:
        seen = neighbours(jnp.where(valid[:, None], x, 0), self.size)
        return x + drop(jax.nn.relu(self.norm(self.convolution(seen))), dropout, key)


class LatentConvNet(nnx.Module):
    """Logits `[k]` of one clip's latent `[t, d]`; map it over clips with `jax.vmap`. A `core.protocols.Classifier`.

    Without random numbers (`rngs=None`) all kernels are zeros, for those who bring their own.

    >>> classifier = LatentConvNet(ConvConfig(dim=6, classes=3, width=8, layers=1), rngs=nnx.Rngs(0))
    >>> classifier(jnp.zeros((7, 6)), jnp.ones(7, bool)).shape
    (3,)
    """

    config_class = ConvConfig
    reads: Literal["latent", "audio"] = "latent"

    def __init__(self, config: ConvConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.project_in = linear(config.dim, config.width, rngs)
        self.layers = nnx.List([ConvLayer(config, rngs) for _ in range(config.layers)])
        self.project_out = linear(2 * config.width, config.classes, rngs)

    def __call__(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Logits `[k]` of one clip; arguments as of `transformer.LatentTransformer`, for any number of frames."""
        own, last = (None, None) if key is None else jax.random.split(key)
        return self.project_out(drop(pool(self.hidden(clip, valid, dropout, own), valid), dropout, last))

    def hidden(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, "t w"]:
        """What the last layer makes of every frame, `[t, w]`; arguments as of `__call__`."""
        keys = [None] * len(self.layers) if key is None else jax.random.split(key, len(self.layers))
        x = self.project_in(self.compand(clip))
        for layer, layer_key in zip(self.layers, keys, strict=True):
            x = layer(x, valid, dropout, layer_key)
        return x

    def head(self, hidden: Float[Array, "t w"], valid: ClipValid) -> Float[Array, " k"]:
        """Logits `[k]` of what `hidden` returned."""
        return self.project_out(pool(hidden, valid))

    def compand(self, latent: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """What the first layer reads: the latent, or its elements on a logarithmic scale."""
        gain = self.config.companding
        return jnp.arcsinh(gain * latent) if gain else latent


FAMILY = LatentConvNet
