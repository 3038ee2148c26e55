"""The split quantiser: a semantic and an acoustic residual quantiser, each with projections of its own, side by side.

Source: `moshi/quantization/vq.py`. The semantic codebook was trained to predict a speech model's features, and what it
leaves over is not what the acoustic codebooks code: both read the same frame, and their outputs are added.

    frame -- input of the semantic one -- p_s -- codes -- c_s -- output of the semantic one --+
      |                                                                                      (+)-- frame
      +----- input of the acoustic one -- p_a -- codes -- c_a -- output of the acoustic one --+

`project` is the frame's way to `[p_s, p_a]`, `merge` that of `[c_s, c_a]`, or of `[p_s, p_a]`, to a frame.
"""

import functools

import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.encodec.quantizer import ResidualVectorQuantizer
from audex_jax.codecs.mimi.config import MimiConfig
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Codes, Float, Latent


class ProjectedQuantizer(ResidualVectorQuantizer):
    """A residual quantiser and the projections around it, `[w, d]` and `[d, w]`."""

    def __init__(self, config: MimiConfig, codebooks: int, *, rngs: nnx.Rngs | None):
        super().__init__(config.quantizer(codebooks), rngs=rngs)
        draw = functools.partial(init_param, nnx.initializers.lecun_normal(), rngs)
        self.input = nnx.Param(draw((config.width, config.codebook_dim)))
        self.output = nnx.Param(draw((config.codebook_dim, config.width)))


class SplitQuantizer(nnx.Module):
    """Frames `[b, t, w]` to projections `[b, t, d]`, these to codes `[b, t, q]`, and back."""

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        self.first = config.semantic_codebooks
        self.semantic = ProjectedQuantizer(config, self.first, rngs=rngs)
        self.acoustic = ProjectedQuantizer(config, config.codebooks - self.first, rngs=rngs)

    def project(self, x: Float[Array, "b t w"]) -> Latent:
        """What the two quantisers code, side by side."""
        return jnp.concatenate([x @ self.semantic.input[...], x @ self.acoustic.input[...]], -1)

    def merge(self, latent: Latent) -> Float[Array, "b t w"]:
        """The frames that projections, rounded or not, stand for."""
        semantic, acoustic = jnp.split(latent, 2, axis=-1)
        return semantic @ self.semantic.output[...] + acoustic @ self.acoustic.output[...]

    def encode(self, latent: Latent, codebooks: int) -> Codes:
        """Codes of the first `codebooks` stages, the semantic ones first; at least these."""
        semantic, acoustic = jnp.split(latent, 2, axis=-1)
        codes = [self.semantic.encode(semantic, self.first)]
        if codebooks > self.first:
            codes.append(self.acoustic.encode(acoustic, codebooks - self.first))
        return jnp.concatenate(codes, -1)

    def decode(self, codes: Codes) -> Latent:
        """The projections that codes stand for; without acoustic codes zeros, which add nothing to the frame."""
        semantic, acoustic = codes[..., : self.first], codes[..., self.first :]
        return jnp.concatenate([self.semantic.decode(semantic), self.acoustic.decode(acoustic)], -1)
