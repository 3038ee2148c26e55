"""Random edits of latents, like those of explanations, for codecs and classifiers to be trained on."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Latent


def edit(latent: Latent, key: Array) -> Latent:
    """Replace random elements, as an explanation does: single elements in half of the clips, whole frames or
    dimensions in the others; by zero or by another clip's latent; a random share in each clip."""
    k_share, k_element, k_frame, k_dim, k_kind, k_fill = jax.random.split(key, 6)
    b, t, d = latent.shape
    share = jax.random.uniform(k_share, (b, 1, 1))
    by_element = jax.random.uniform(k_element, (b, t, d)) < share
    root = jnp.sqrt(share)
    by_block = (jax.random.uniform(k_frame, (b, t, 1)) < root) & (jax.random.uniform(k_dim, (b, 1, d)) < root)
    keep = jnp.where(jax.random.bernoulli(k_kind, 0.5, (b, 1, 1)), by_element, by_block)
    filler = jnp.where(jax.random.bernoulli(k_fill, 0.5, (b, 1, 1)), 0.0, jnp.roll(latent, 1, 0))
    return jnp.where(keep, latent, filler)
