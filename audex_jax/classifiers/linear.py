"""A linear classifier of pooled statistics of the latent: it has few weights, so a few dozen clips are enough for it.

Mean, standard deviation and mean absolute difference from frame to frame of every companded dimension, over the frames
that sound; linear out. `training.linear` fits it.
"""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx

from audex_jax.classifiers._layers import dropout as drop
from audex_jax.core.configs import Gain, Size, check, config_from
from audex_jax.core.initializers import linear
from audex_jax.core.types import Array, ClipLatent, ClipValid, Float

QUIET = 1e-3  # energy of a frame, relative to loud ones, at which it has half the weight: 30 dB below
VARIANCE = 1e-4  # added to variances, so that those of silence have a gradient
FLOOR = 1e-3  # added to energies and to sums of weights, so that silence has a gradient


@dataclasses.dataclass(frozen=True)
class LinearConfig:
    """Shape of the classifier.

    Attributes:
        dim: width of the latent that it reads.
        classes: number of labels.
        companding: gain c of `asinh(c * latent)` ahead of the statistics; 0 for none.
    """

    dim: Size
    classes: Size
    companding: Gain = 10.0

    def __post_init__(self):
        check(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "LinearConfig":
        """Rebuild a stored config.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


class LinearProbe(nnx.Module):
    """Logits `[k]` of one clip's latent `[t, d]`; map it over clips with `jax.vmap`. A `core.protocols.Classifier`.

    It knows no positions, so that clips may have any length.

    >>> classifier = LinearProbe(LinearConfig(dim=6, classes=3), rngs=nnx.Rngs(0))
    >>> classifier(jnp.zeros((7, 6)), jnp.ones(7, bool)).shape
    (3,)
    """

    config_class = LinearConfig
    reads: Literal["latent", "audio"] = "latent"

    def __init__(self, config: LinearConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.project_out = linear(3 * config.dim, config.classes, rngs)

    def __call__(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, " k"]:
        """Logits `[k]` of one clip; arguments as of `transformer.LatentTransformer`, for any number of frames."""
        return self.project_out(drop(self.statistics(self.hidden(clip, valid), valid), dropout, key))

    def hidden(
        self, clip: ClipLatent, valid: ClipValid, dropout: float = 0.0, key: Array | None = None
    ) -> Float[Array, "t d"]:
        """The companded latent, `[t, d]`. Arguments as of `__call__`."""
        gain = self.config.companding
        return jnp.arcsinh(gain * clip) if gain else clip

    def head(self, hidden: Float[Array, "t d"], valid: ClipValid) -> Float[Array, " k"]:
        """Logits `[k]` of what `hidden` returned."""
        return self.project_out(self.statistics(hidden, valid))

    def statistics(self, hidden: Float[Array, "t d"], valid: ClipValid) -> Float[Array, " s"]:
        """Mean, standard deviation and mean absolute difference of what `hidden` returned, `[3 d]`.

        Frames are weighted by e / (e + `QUIET` * sum(e^2) / sum(e)), e the energy of their latent plus `FLOOR`: about 1
        where a frame sounds, about 0 where it does not, and the same for all in silence.
        """
        gain, own = self.config.companding, valid[:, None]
        hidden = jnp.where(own, hidden, 0)
        energy = valid * (jnp.square(jnp.sinh(hidden) / gain if gain else hidden).sum(1) + FLOOR)
        loud = jnp.square(energy).sum() / (energy.sum() + FLOOR)
        weights = energy / (energy + QUIET * loud + FLOOR)
        pairs = weights[1:] * weights[:-1]
        mean = _mean(hidden, weights)
        deviation = jnp.sqrt(_mean(jnp.square(hidden - mean), weights) + VARIANCE)
        return jnp.concatenate([mean, deviation, _mean(jnp.abs(jnp.diff(hidden, axis=0)), pairs)])


def _mean(values: Float[Array, "t d"], weights: Float[Array, " t"]) -> Float[Array, " d"]:
    return weights @ values / (weights.sum() + FLOOR)


FAMILY = LinearProbe
