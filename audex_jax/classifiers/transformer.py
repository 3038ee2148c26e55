"""The classifier: a transformer over latent frames.

The published one (`glam-imperial/AudioXgen`): linear in, learned positions, 3 post-norm encoder layers (8 heads,
feed-forward 512, ReLU), mean over time, linear out. Variable length by a mask over frames.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.classifiers.attention import attend
from audex_jax.core.errors import AudexError
from audex_jax.core.initializers import init_param, linear
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

    dim: int
    classes: int
    frames: int
    width: int = 256
    layers: int = 3
    heads: int = 8
    feed_forward: int = 512
    companding: float = 0.0

    def __post_init__(self):
        if self.width % self.heads:
            raise AudexError(f"width {self.width} is not divisible by {self.heads} heads")

    @classmethod
    def from_dict(cls, fields: dict) -> "TransformerConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown.
        """
        unknown = sorted(set(fields) - {f.name for f in dataclasses.fields(cls)})
        if unknown:
            raise AudexError(f"classifier config has unknown fields: {', '.join(unknown)}")
        return cls(**fields)


class LayerNorm(nnx.Module):
    """Layer normalisation over the last axis with PyTorch's epsilon, 1e-5."""

    def __init__(self, width: int):
        self.scale = nnx.Param(jnp.ones((width,)))
        self.bias = nnx.Param(jnp.zeros((width,)))

    def __call__(self, x: Float[Array, "t w"]) -> Float[Array, "t w"]:
        mean = x.mean(-1, keepdims=True)
        centred = x - mean
        variance = jnp.square(centred).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * self.scale[...] + self.bias[...]


class EncoderLayer(nnx.Module):
    """Post-norm transformer layer, `torch.nn.TransformerEncoderLayer` with ReLU: `[t, w] -> [t, w]`.

    It is given `attention_in(x)` with x: for the first layer that is part of an affine map of the latent.
    """

    def __init__(self, config: TransformerConfig, rngs: nnx.Rngs | None):
        width = config.width
        self.heads = config.heads
        glorot = nnx.initializers.glorot_uniform()
        self.attention_in = linear(width, 3 * width, rngs, glorot)
        self.attention_out = linear(width, width, rngs, glorot)
        self.feed_forward_in = linear(width, config.feed_forward, rngs, glorot)
        self.feed_forward_out = linear(config.feed_forward, width, rngs, glorot)
        self.attention_norm = LayerNorm(width)
        self.feed_forward_norm = LayerNorm(width)

    def __call__(
        self,
        x: Float[Array, "t w"],
        projected: Float[Array, "t w3"],
        valid: ClipValid,
        dropout: float = 0.0,
        key: Array | None = None,
    ) -> Float[Array, "t w"]:
        keys = (None, None, None) if key is None else jax.random.split(key, 3)
        mixed = attend(projected, valid, self.heads)
        x = self.attention_norm(x + _dropout(self.attention_out(mixed), dropout, keys[0]))
        hidden = _dropout(jax.nn.relu(self.feed_forward_in(x)), dropout, keys[1])
        return self.feed_forward_norm(x + _dropout(self.feed_forward_out(hidden), dropout, keys[2]))


class LatentTransformer(nnx.Module):
    """Logits `[k]` of one clip's latent `[t, d]`; map it over clips with `jax.vmap`.

    Without random numbers (`rngs=None`) all kernels are zeros, for those who bring their own.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> config = TransformerConfig(dim=6, classes=3, frames=10, width=8, layers=1, heads=2, feed_forward=16)
    >>> classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
    >>> classifier(jnp.zeros((7, 6)), jnp.ones(7, bool)).shape
    (3,)
    """

    def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.project_in = linear(config.dim, config.width, rngs)
        self.positions = nnx.Param(init_param(jax.random.normal, rngs, (config.frames, config.width)))
        self.layers = nnx.List([EncoderLayer(config, rngs) for _ in range(config.layers)])
        self.project_out = linear(config.width, config.classes, rngs)

    def __call__(
        self, latent: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Classify one clip.

        Args:
            latent: `[t, d]` with t up to `config.frames`.
            valid: True for the clip's own frames, `[t]`; padded frames influence nothing.
            dropout: share of activations to drop, in training only.
            key: random key for dropout; None for none.

        Returns:
            Logits `[k]`.
        """
        return self.rest(self.front(latent, dropout, key), valid, dropout, key)

    def front(self, latent: ClipLatent, dropout: float = 0.0, key: Array | None = None) -> Float[Array, "t w4"]:
        """What the first layer is given: its input, and the queries, keys and values of that, side by side.

        Without companding this is an affine map of the latent.
        """
        x = self.project_in(self.compand(latent)) + self.positions[...][: len(latent)]
        x = _dropout(x, dropout, key)
        return jnp.concatenate([x, self.layers[0].attention_in(x)], axis=-1)

    def rest(
        self, front: Float[Array, "t w4"], valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Logits `[k]` of what `front` returns; arguments as of the whole."""
        keys = [None] * len(self.layers) if key is None else jax.random.split(key, len(self.layers))
        x, projected = jnp.split(front, [self.config.width], axis=-1)
        for number, (layer, layer_key) in enumerate(zip(self.layers, keys, strict=True)):
            x = layer(x, layer.attention_in(x) if number else projected, valid, dropout, layer_key)
        weights = valid / jnp.maximum(valid.sum(), 1)
        return self.project_out(weights @ x)

    def compand(self, latent: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """What the first layer reads: the latent, or its elements on a logarithmic scale."""
        gain = self.config.companding
        return jnp.arcsinh(gain * latent) if gain else latent


def in_bfloat16(classifier: LatentTransformer) -> LatentTransformer:
    """The same classifier, whose linear layers multiply in bfloat16 and add in float32, in its gradients, too.

    Processors with units for it (AMX, tensor cores) do that several times as fast.
    """
    twin = nnx.clone(classifier)
    for _, module in nnx.iter_modules(twin):
        if isinstance(module, nnx.Linear):
            module.dot_general = _in_bfloat16
    return twin


def _in_bfloat16(x: Array, kernel: Array, dimensions: object, **_: object) -> Array:
    """What `nnx.Linear` calls: the last axis of `x` times the first of the kernel."""
    return _rounded_product(x, kernel)


@jax.custom_vjp
def _rounded_product(x: Float[Array, "*n d"], kernel: Float[Array, "d o"]) -> Float[Array, "*n o"]:
    return _round_and_multiply(x, kernel, ((x.ndim - 1,), (0,)))


def _round_and_multiply(x: Array, y: Array, axes: tuple[Sequence[int], Sequence[int]]) -> Array:
    factors = x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)
    return jax.lax.dot_general(*factors, (axes, ((), ())), preferred_element_type=jnp.float32)


def _rounded_backward(saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, kernel = saved
    rest = range(x.ndim - 1)
    return _round_and_multiply(slope, kernel, ((x.ndim - 1,), (1,))), _round_and_multiply(x, slope, (rest, rest))


_rounded_product.defvjp(lambda x, kernel: (_rounded_product(x, kernel), (x, kernel)), _rounded_backward)


def _dropout(x: Array, rate: float, key: Array | None) -> Array:
    if key is None or rate == 0.0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)
