"""Fitting the codebooks: moving averages of what each entry is used for, entries that fall idle replaced.

Source: `encodec/quantization/core_vq.py` (EMA update, replacement of dead codes); van den Oord et al. 2017,
arXiv 1711.00937, appendix A.1.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.codecs.encodec.quantizer import nearest
from audex_jax.core.types import Array, Float, Int, Latent

DECAY = 0.99
ITERATIONS = 12  # of k-means
IDLE = 0.5  # expected uses a step below which an entry is replaced


class CodebookState(NamedTuple):
    """Running use of the entries of all stages; `codebooks = sums / counts`."""

    codebooks: Float[Array, "q e d"]
    counts: Float[Array, "q e"]
    sums: Float[Array, "q e d"]


def in_use(codebooks: Float[Array, "q e d"]) -> CodebookState:
    """State to go on from fitted codebooks."""
    return CodebookState(codebooks, jnp.ones(codebooks.shape[:2]), jnp.copy(codebooks))


def quantize_and_update(
    state: CodebookState, latent: Latent, stages: Int[Array, " b"], key: Array
) -> tuple[Latent, CodebookState]:
    """Quantise each clip with its own number of stages, and move the codebooks towards the data.

    Every stage learns from the residual of all frames, whether or not a clip's output uses it (quantiser dropout,
    Zeghidour et al. 2021, section III-D).

    Args:
        state: codebooks and their running averages.
        latent: continuous latents `[b, t, d]`, without gradient.
        stages: stages that each clip's output sums, `[b]`.
        key: for the replacement of idle entries.

    Returns:
        Quantised latents `[b, t, d]` and the new state.
    """
    frames = latent.reshape(-1, latent.shape[-1])
    per_frame = jnp.repeat(stages, latent.shape[1])

    def stage(carry, inputs):
        residual, total = carry
        index_of_stage, codebook, counts, sums, key = inputs
        code = nearest(residual, codebook)
        one_hot = jax.nn.one_hot(code, codebook.shape[0])
        counts = DECAY * counts + (1 - DECAY) * one_hot.sum(0)
        sums = DECAY * sums + (1 - DECAY) * (one_hot.T @ residual)
        unused = counts < IDLE
        samples = jax.random.choice(key, residual, (codebook.shape[0],))
        counts = jnp.where(unused, 1.0, counts)
        sums = jnp.where(unused[:, None], samples, sums)
        chosen = codebook[code]
        total = total + jnp.where((index_of_stage < per_frame)[:, None], chosen, 0)
        return (residual - chosen, total), (sums / counts[:, None], counts, sums)

    keys = jax.random.split(key, state.codebooks.shape[0])
    order = jnp.arange(state.codebooks.shape[0])
    (_, total), new = jax.lax.scan(stage, (frames, jnp.zeros_like(frames)), (order, *state, keys))
    return total.reshape(latent.shape), CodebookState(*new)


@functools.partial(jax.jit, static_argnames=("stages", "entries"))
def fit(frames: Float[Array, "n d"], stages: int, entries: int, key: Array) -> Float[Array, "q e d"]:
    """Codebooks from nothing: k-means (Lloyd 1982) on what each stage receives, stage by stage.

    Args:
        frames: continuous latents; many more than `entries`.
        stages, entries: number of codebooks and size of each.
        key: for the frames that the entries start from.
    """

    def stage(residual, key):
        def iteration(codebook, _):
            one_hot = jax.nn.one_hot(nearest(residual, codebook), entries)
            counts = one_hot.sum(0)[:, None]
            return jnp.where(counts > 0, one_hot.T @ residual / jnp.maximum(counts, 1), codebook), None

        start = jax.random.choice(key, residual, (entries,), replace=False)
        codebook, _ = jax.lax.scan(iteration, start, None, length=ITERATIONS)
        return residual - codebook[nearest(residual, codebook)], codebook

    return jax.lax.scan(stage, frames, jax.random.split(key, stages))[1]
