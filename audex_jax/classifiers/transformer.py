"""A transformer over latent frames.

The published one (`glam-imperial/AudioXgen`): linear in, learned positions, 3 post-norm encoder layers (8 heads,
feed-forward 512, ReLU), mean over time, linear out. Variable length by a mask over frames.
"""

import dataclasses
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.classifiers._attention import attend
from audex_jax.classifiers._layers import dropout as drop
from audex_jax.core.configs import Between, Depth, Gain, Size, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.initializers import init_param, layer_norm, linear
from audex_jax.core.types import Array, ClipLatent, ClipValid, Float


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Shape of the classifier; the defaults are the published ones.

    Attributes:
        dim: width of the latent that it reads.
        classes: number of labels.
        frames: longest clip in latent frames; the length of the position table.
        width, layers, heads, feed_forward: of the transformer.
        companding: gain c of `asinh(c * latent)` ahead of the first layer: logarithmic above 1 / c, as a log-mel
            spectrogram is in magnitudes; 0 (published) for none.
    """

    dim: Size
    classes: Size
    frames: Annotated[int, Between(1, 1_000_000)]
    width: Size = 256
    layers: Depth = 3
    heads: Size = 8
    feed_forward: Size = 512
    companding: Gain = 0.0

    def __post_init__(self):
        check(self)
        if self.width % self.heads:
            raise AudexError(f"width {self.width} is not divisible by {self.heads} heads")

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TransformerConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


class EncoderLayer(nnx.Module):
    """Post-norm transformer layer, `torch.nn.TransformerEncoderLayer` with ReLU: `[t, w] -> [t, w]`."""

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs | None):
        width = config.width
        self.heads = config.heads
        glorot = nnx.initializers.glorot_uniform()
        self.attention_in = linear(width, 3 * width, rngs, glorot)
        self.attention_out = linear(width, width, rngs, glorot)
        self.feed_forward_in = linear(width, config.feed_forward, rngs, glorot)
        self.feed_forward_out = linear(config.feed_forward, width, rngs, glorot)
        self.attention_norm = layer_norm(width)
        self.feed_forward_norm = layer_norm(width)

    def __call__(
        self, x: Float[Array, "t w"], valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, "t w"]:
        keys = (None, None, None) if key is None else jax.random.split(key, 3)
        mixed = attend(self.attention_in(x), valid, self.heads)
        x = self.attention_norm(x + drop(self.attention_out(mixed), dropout, keys[0]))
        hidden = drop(jax.nn.relu(self.feed_forward_in(x)), dropout, keys[1])
        return self.feed_forward_norm(x + drop(self.feed_forward_out(hidden), dropout, keys[2]))


class LatentTransformer(nnx.Module):
    """Logits `[k]` of one clip's latent `[t, d]`; map it over clips with `jax.vmap`. A `core.protocols.Classifier`.

    Without random numbers (`rngs=None`) all kernels are zeros, for those who bring their own.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> config = TransformerConfig(dim=6, classes=3, frames=10, width=8, layers=1, heads=2, feed_forward=16)
        >>> classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
        >>> classifier(jnp.zeros((7, 6)), jnp.ones(7, bool)).shape
        (3,)
    """

    config_class = TransformerConfig
    reads: Literal["latent", "audio"] = "latent"

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.project_in = linear(config.dim, config.width, rngs)
        self.positions = nnx.Param(init_param(jax.random.normal, rngs, (config.frames, config.width)))
        self.layers = nnx.List([EncoderLayer(config, rngs) for _ in range(config.layers)])
        self.project_out = linear(config.width, config.classes, rngs)

    def __call__(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Classify one clip.

        Args:
            clip: its latent, `[t, d]` with t up to `config.frames`.
            valid: True for the clip's own frames, `[t]`; padded frames influence nothing.
            dropout: share of activations to drop.
            key: random key for dropout; None for none.

        Returns:
            Logits `[k]`.
        """
        return self.head(self.hidden(clip, valid, dropout, key), valid)

    def hidden(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, "t w"]:
        """What the last layer makes of every frame, `[t, w]`; arguments as of `__call__`."""
        keys = [None] * (len(self.layers) + 1) if key is None else jax.random.split(key, len(self.layers) + 1)
        x = self.project_in(self.compand(clip)) + self.positions[...][: len(clip)]
        x = drop(x, dropout, keys[-1])
        for layer, layer_key in zip(self.layers, keys[:-1], strict=True):
            x = layer(x, valid, dropout, layer_key)
        return x

    def head(self, hidden: Float[Array, "t w"], valid: ClipValid) -> Float[Array, " k"]:
        """Logits `[k]` of what `hidden` returned: linear in its mean over the clip's own frames."""
        weights = valid / jnp.maximum(valid.sum(), 1)
        return self.project_out(weights @ hidden)

    def compand(self, latent: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """What the first layer reads: the latent, or its elements on a logarithmic scale."""
        gain = self.config.companding
        return jnp.arcsinh(gain * latent) if gain else latent


FAMILY = LatentTransformer


def in_bfloat16(classifier: Any) -> Any:
    """The same classifier, an `nnx.Module`, whose linear layers multiply in bfloat16, in its derivatives, too.

    Processors with units for it (AMX, tensor cores) do that several times as fast.
    """
    twin = nnx.clone(classifier)
    for _, module in nnx.iter_modules(twin):
        if isinstance(module, nnx.Linear):
            module.dot_general = _dot_in_bfloat16
    return twin


def _dot_in_bfloat16(x: Array, kernel: Array, dimensions: Any, **_: Any) -> Array:
    """What `nnx.Linear` calls. Factors and result are rounded; what JAX derives from that is rounded likewise."""
    return jax.lax.dot_general(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), dimensions).astype(x.dtype)
