"""A network from a latent and a target to a score of every element: the ranking `amortised`, one forward pass a clip.

It is trained over many clips (`training/mask_network.py`), so that it cannot fit a mask to one. Relatives: L-MAC
(Paissan et al., arXiv 2403.13086) for spectrograms, FastSHAP (Jethani et al., arXiv 2107.07436) for Shapley values.
"""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.classifiers._layers import dropout as drop
from audex_jax.classifiers._layers import neighbours
from audex_jax.core.configs import Between, Depth, Size, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.initializers import init_param, linear
from audex_jax.core.types import Array, ClipLatent, ClipValid, Float, Int
from audex_jax.explain.model import tells_features
from audex_jax.masking.optimise import pick
from audex_jax.masking.similarity import COMPANDING

SOFTEST = 1e-3  # added to sizes ahead of the logarithm


class Statistic(nnx.Variable):
    """A number measured over training clips, not fitted by gradients, hence no `nnx.Param`."""


@dataclasses.dataclass(frozen=True)
class MaskNetworkConfig:
    """Shape of the network.

    Attributes:
        dim: width of the latent.
        classes: number of labels.
        hidden: width of the classifier's last hidden state; 0 for a classifier that does not tell it.
        width, layers, kernel: of the convolutions over frames; the kernel is odd.
    """

    dim: Size
    classes: Size
    hidden: Annotated[int, Between(0, 65536)] = 0
    width: Size = 128
    layers: Depth = 3
    kernel: Annotated[int, Between(1, 63)] = 5

    def __post_init__(self):
        check(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "MaskNetworkConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


class Layer(nnx.Module):
    """Residual convolution over frames, with the mean over the clip, gated by the target: `[t, w] -> [t, w]`."""

    def __init__(self, config: MaskNetworkConfig, rngs: nnx.Rngs | None):
        width = config.width
        self.norm = nnx.LayerNorm(width, rngs=nnx.Rngs(0))
        self.kernel = config.kernel
        self.convolution = linear(config.kernel * width, width, rngs)
        self.of_frame, self.of_clip = linear(width, 2 * width, rngs), linear(width, 2 * width, rngs)

    def __call__(
        self, x: Float[Array, "t w"], own: Float[Array, "t 1"], target: Float[Array, " w"]
    ) -> Float[Array, "t w"]:
        y = self.convolution(neighbours(self.norm(x) * own, self.kernel))
        mean = (y * own).sum(0) / jnp.maximum(own.sum(), 1)
        value, gate = jnp.split(self.of_frame(jax.nn.gelu(y)) + self.of_clip(mean), 2, -1)
        return (x + value * jax.nn.sigmoid(gate + target)) * own


class MaskNetwork(nnx.Module):
    """Scores `[t, d]` of one clip's elements for one target, and whether the target is in the clip at all.

    It starts as the ranking by loudness: the convolutions add to `log |z|`, at first nothing.

    Without random numbers (`rngs=None`) all kernels are zeros, for those who bring their own.

    >>> import jax.numpy as jnp
    >>> config = MaskNetworkConfig(dim=6, classes=3, width=8, layers=1)
    >>> network = MaskNetwork(config, rngs=nnx.Rngs(0))
    >>> score, presence = network(jnp.ones((7, 6)), None, jnp.int32(1), jnp.ones(7, bool))
    >>> score.shape, presence.shape
    ((7, 6), ())
    """

    config_class = MaskNetworkConfig

    def __init__(self, config: MaskNetworkConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        width, dim, hidden = config.width, config.dim, config.hidden
        self.mean, self.deviation = Statistic(jnp.zeros(dim)), Statistic(jnp.ones(dim))
        self.evidence_scale = Statistic(jnp.ones(()))
        self.targets = nnx.Param(init_param(jax.random.normal, rngs, (config.classes, width)))
        self.project_in = linear(2 * dim + 2 * hidden, width, rngs)
        self.layers = nnx.List([Layer(config, rngs) for _ in range(config.layers)])
        self.norm = nnx.LayerNorm(width, rngs=nnx.Rngs(0))
        self.project_out = linear(width, dim, None)
        self.gain, self.bias = nnx.Param(jnp.zeros(dim)), nnx.Param(jnp.zeros(dim))
        self.presence_in = linear(width + hidden, 64, rngs)
        self.presence_out = linear(64, 1, rngs)

    def __call__(
        self,
        latent: ClipLatent,
        hidden: tuple[Float[Array, "t h"], Float[Array, "t h"]] | None,
        target: Int[Array, ""],
        valid: ClipValid,
        dropout: float = 0.0,
        key: Array | None = None,
    ) -> tuple[Float[Array, "t d"], Float[Array, ""]]:
        """Score one clip.

        Args:
            latent: `[t, d]`.
            hidden: the classifier's last hidden state and what of the target's logit it accounts for, see
                `hidden_evidence`; None where `config.hidden` is 0.
            target: class number.
            valid: the clip's own frames, `[t]`.
            dropout, key: share of the inputs to drop, and its random key; None for none.

        Returns:
            Scores `[t, d]`, and log odds that the target is in the clip.
        """
        own = valid[:, None].astype(latent.dtype)
        size = jnp.log(jnp.abs(latent) + SOFTEST)
        companded = self.standardised(latent)
        states, evidence = ([], []) if hidden is None else ([hidden[0]], [hidden[1] * self.evidence_scale[...]])
        x = jnp.concatenate([companded, size / 2 + 2, *states, *evidence], -1)
        x = x if key is None else drop(x, dropout, key)
        about = pick(self.targets[...].T, target)
        x = (self.project_in(x) + about) * own
        for layer in self.layers:
            x = layer(x, own, about)
        x = self.norm(x)
        score = size * jnp.exp(self.gain[...]) + self.bias[...] + self.project_out(x)
        pooled = (jnp.concatenate([x, *evidence], -1) * own).sum(0) / jnp.maximum(own.sum(), 1)
        return score, self.presence_out(jax.nn.gelu(self.presence_in(pooled)))[0]

    def standardised(self, latent: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Elements on a logarithmic scale, in standard deviations of their dimension over training clips."""
        return (jnp.arcsinh(COMPANDING * latent) - self.mean[...]) / self.deviation[...]


def hidden_evidence(
    classifier: Any, latent: ClipLatent, target: Int[Array, ""], valid: ClipValid
) -> tuple[Float[Array, "t h"], Float[Array, "t h"]] | None:
    """The classifier's last hidden state, and gradient x hidden state of the target's logit, times the frames.

    None for a classifier that does not tell its hidden state (`core.protocols.Classifier`).
    """
    if not tells_features(classifier):
        return None
    hidden = classifier.hidden(latent, valid)
    slope = jax.grad(lambda some: pick(classifier.head(some, valid), target))(hidden)
    return hidden, hidden * slope * valid.sum()


def hidden_width(classifier: Any, codec: Any, frames: int = 1) -> int:
    """Width of the classifier's last hidden state; 0 where it tells none."""
    if not tells_features(classifier):
        return 0
    latent, valid = jax.ShapeDtypeStruct((frames, codec.dim), jnp.float32), jax.ShapeDtypeStruct((frames,), bool)
    return jax.eval_shape(lambda model, *clip: model.hidden(*clip), classifier, latent, valid).shape[-1]


def config_for(model: Any, classes: int) -> MaskNetworkConfig:
    """The config of a network for a model."""
    return MaskNetworkConfig(model.codec.dim, classes, hidden_width(model.classifier, model.codec))


def check_network(config: MaskNetworkConfig, codec: Any, classifier: Any, classes: int) -> None:
    """Check that a mask network belongs to a model.

    Raises:
        AudexError: it reads another latent or hidden state, or knows another number of labels.
    """
    wanted = {"dim": codec.dim, "classes": classes, "hidden": hidden_width(classifier, codec)}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise AudexError(f"mask_network: {name} is {getattr(config, name)}, the model's is {value}; train it again")
