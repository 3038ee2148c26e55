"""The residual vector quantiser: each stage codes what the stages before it left over.

Source: `encodec/quantization/core_vq.py`; Zeghidour et al. 2021, "SoundStream", algorithm 1.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Codes, Float, Int, Latent


class Codebook(nnx.Variable):
    """Codebook vectors: fitted by moving averages in training, not by gradients, hence no `nnx.Param`."""


def nearest(residual: Float[Array, "*n d"], codebook: Float[Array, "e d"]) -> Int[Array, "*n"]:
    """Index of the closest codebook entry; ties go to the lowest index.

    The distance is expanded as `|e|^2 - 2 x.e` (`|x|^2` is the same for all entries) and its product runs at full
    precision on every backend: codes near a tie would flip otherwise.
    """
    products = jnp.matmul(residual, codebook.T, precision="highest")
    return jnp.argmin(jnp.sum(codebook**2, -1) - 2 * products, axis=-1)


class ResidualVectorQuantizer(nnx.Module):
    """Codebooks `[q, entries, d]` of all stages."""

    def __init__(self, config: EncodecConfig, *, rngs: nnx.Rngs | None):
        shape = (config.codebooks, config.codebook_size, config.dim)
        self.codebooks = Codebook(init_param(jax.random.normal, rngs, shape))

    def encode(self, latent: Latent, codebooks: int) -> Codes:
        """Codes of the first `codebooks` stages.

        Args:
            latent: continuous latent `[b, t, d]`.
            codebooks: stages to use, 1 to `config.codebooks`.

        Returns:
            Indices `[b, t, codebooks]`, int32.
        """

        def stage(residual, codebook):
            index = nearest(residual, codebook)
            return residual - codebook[index], index

        _, codes = jax.lax.scan(stage, latent, self.codebooks[...][:codebooks])
        return jnp.moveaxis(codes, 0, -1).astype(jnp.int32)

    def decode(self, codes: Codes) -> Latent:
        """Sum over stages of the chosen entries, `[b, t, q] -> [b, t, d]`; q may be below the number of stages."""

        def stage(total, step):
            codebook, index = step
            return total + codebook[index], None

        used = self.codebooks[...][: codes.shape[-1]]
        start = jnp.zeros((*codes.shape[:-1], used.shape[-1]), used.dtype)
        total, _ = jax.lax.scan(stage, start, (used, jnp.moveaxis(codes, -1, 0)))
        return total
