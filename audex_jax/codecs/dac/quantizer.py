"""DAC's residual quantiser: each stage looks up what the stages before it left over in a few dimensions.

Source: `dac/nn/quantize.py`. A stage projects the residual to `codebook_dim` dimensions, takes the entry that points
most nearly in the same direction (both L2-normalised, Yu et al. 2021, arXiv 2110.04627), and projects the entry, not
normalised, back.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.dac.config import DacConfig
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Codes, Float, Int

Entries = Float[Array, "b t q p"]
Quantised = Float[Array, "b t d"]


def nearest(projected: Float[Array, "*n p"], codebook: Float[Array, "e p"]) -> Int[Array, "*n"]:
    """Index of the entry with the largest cosine; ties go to the lowest index. At full precision on every backend."""
    directions = codebook / jnp.maximum(jnp.linalg.norm(codebook, axis=-1, keepdims=True), 1e-12)
    return jnp.argmax(jnp.matmul(projected, directions.T, precision="highest"), -1)


class Quantizer(nnx.Module):
    """All stages: codebooks `[q, e, p]`, projections in `[q, d, p]` and out `[q, p, d]`."""

    def __init__(self, config: DacConfig, *, rngs: nnx.Rngs | None):
        stages, entry, dim = config.codebooks, config.codebook_dim, config.dim
        normal = nnx.initializers.lecun_normal(in_axis=-2, out_axis=-1, batch_axis=0)
        self.codebooks = nnx.Param(init_param(jax.random.normal, rngs, (stages, config.codebook_size, entry)))
        self.in_kernel = nnx.Param(init_param(normal, rngs, (stages, dim, entry)))
        self.in_bias = nnx.Param(jnp.zeros((stages, entry)))
        self.out_kernel = nnx.Param(init_param(normal, rngs, (stages, entry, dim)))
        self.out_bias = nnx.Param(jnp.zeros((stages, dim)))

    def encode(self, continuous: Quantised, stages: int) -> tuple[Codes, Entries]:
        """Codes `[b, t, stages]` and entries `[b, t, stages, p]` of the first stages.

        Gradients pass through each stage as if it returned its projection (straight through, as in DAC's training).
        """

        def stage(residual, arrays):
            codebook, in_kernel, in_bias, out_kernel, out_bias = arrays
            projected = jnp.matmul(residual, in_kernel, precision="highest") + in_bias
            index = nearest(projected, codebook)
            entry = codebook[index] + (projected - jax.lax.stop_gradient(projected))
            return residual - (jnp.matmul(entry, out_kernel, precision="highest") + out_bias), (index, entry)

        arrays = (self.codebooks, self.in_kernel, self.in_bias, self.out_kernel, self.out_bias)
        _, (codes, entries) = jax.lax.scan(stage, continuous, tuple(array[...][:stages] for array in arrays))
        return jnp.moveaxis(codes, 0, -1).astype(jnp.int32), jnp.moveaxis(entries, 0, -2)

    def entries(self, codes: Codes) -> Entries:
        """The entries that codes stand for, `[b, t, q] -> [b, t, q, p]`; q may be below the number of stages."""
        return self.codebooks[...][jnp.arange(codes.shape[-1]), codes]

    def sum(self, entries: Entries) -> Quantised:
        """The entries of the first stages projected out and added up, `[b, t, q, p] -> [b, t, d]`."""
        stages = entries.shape[-2]
        projected = jnp.einsum("btqp,qpd->btd", entries, self.out_kernel[...][:stages], precision="highest")
        return projected + self.out_bias[...][:stages].sum(0)
