"""Is an attribution right about small changes, and does it stay what it is under them? For one clip; map over clips.

What perturbs the clip comes as an array, so that the metrics draw nothing themselves.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float

TINY = 1e-12


def infidelity(
    f: Callable[[ClipLatent], Float[Array, ""]],
    latent: ClipLatent,
    attribution: Attribution,
    perturbations: Float[Array, "s t d"],
    *,
    factor: ClipLatent | None = None,
    scaled: bool = False,
    chunk: int = 8,
) -> Float[Array, ""]:
    """Mean squared difference of what the attribution predicts for a perturbation and what it does; 0 is best.

        E over I of (sum(I * A) - (F(z) - F(z - I)))^2            Yeh et al., arXiv 1901.09392; as in Captum

    Args:
        f: the explained function.
        latent: the clip, `[t, d]`.
        attribution: A, `[t, d]`.
        perturbations: I, `[s, t, d]`.
        factor: z - z0, for attributions that contain it, as Integrated Gradients do; it is divided out of A, and where
            it is 0 the element predicts nothing. Captum's `multiply_by_inputs`.
        scaled: compare shapes only: A times the number that fits best. Captum's `normalize`.
        chunk: perturbations held in memory at once.
    """
    if factor is not None:
        attribution = jnp.where(jnp.abs(factor) > TINY, attribution / jnp.where(factor == 0, 1, factor), 0)
    predicted = (perturbations * attribution).sum((1, 2))
    change = f(latent) - jax.lax.map(lambda part: f(latent - part), perturbations, batch_size=chunk)
    if scaled:
        square = (predicted**2).mean()
        predicted = predicted * (predicted * change).mean() / jnp.where(square == 0, 1, square)
    return jnp.square(predicted - change).mean()


def max_sensitivity(
    attribute: Callable[[ClipLatent], Attribution],
    latent: ClipLatent,
    perturbations: Float[Array, "s t d"],
    *,
    own: Attribution | None = None,
    chunk: int = 1,
) -> Float[Array, ""]:
    """Largest change of the attribution under small perturbations, as a share of its size; 0 is best.

        max over I of |A(z + I) - A(z)| / |A(z)|                  Yeh et al., arXiv 1901.09392; as in Captum

    Args:
        attribute: the attribution as a function of the latent; keep the explained class fixed in it.
        latent: the clip, `[t, d]`.
        perturbations: I, `[s, t, d]`; small against the spread of each dimension, or the figure means nothing.
        own: the attribution of the clip itself, if it is known already.
        chunk: attributions computed at once.
    """
    own = attribute(latent) if own is None else own
    size = jnp.sqrt(jnp.square(own).sum())
    moved = jax.lax.map(lambda part: jnp.square(attribute(latent + part) - own).sum(), perturbations, batch_size=chunk)
    return jnp.sqrt(moved.max()) / jnp.maximum(size, TINY)
