"""An evolution strategy on the scores of units: for classifiers without a gradient.

It starts from the attribution's sums over units of time and frequency. Each generation varies the scores, decodes what
each variant keeps and takes out, and moves to the mean of the best quarter. As in `matched-mask`, the kept half is to
say hardly less for the target than the clip does, and the residual no more than nothing; half of the generations judge
the sound moved by half a hop. It takes about three quarters of `Settings.budget` evaluations.

Source: evolution strategies with weighted recombination (Hansen and Ostermeier 2001), with one step size that falls.
"""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context, keep_mask, places

GENERATIONS = 8
SHARES = (0.2, 0.1, 0.4, 0.2)
STEP, FALL = 0.3, 0.8  # of the first generation, in standard deviations of the scores, and from one to the next
LOUDNESS = 0.1  # of an element's place by loudness, beside its unit's score


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """The score of an element's unit, and a little of its loudness, by which the elements of a unit are ordered."""
    number, count = context.units()
    own, sounding = context.valid[:, None], context.sounding[:, None]
    nothing = jnp.where(own, filler, latent)
    loudness = places(jnp.abs(latent - nothing), context.sounding)
    start = jnp.zeros(count).at[number].add(jnp.where(sounding, attribution, 0))
    used = jnp.zeros(count).at[number].max(jnp.where(sounding, 1.0, 0.0))
    deviation = jnp.sqrt((used * jnp.square(start)).sum() / jnp.maximum(used.sum(), 1)) + 1e-12
    population = max(4, 3 * context.settings.budget // (4 * 2 * GENERATIONS))
    parents = population // 4
    bounds = jnp.stack([context.resound(latent[None], moved)[1][0] for moved in (False, True)])

    def elements(scores: Float[Array, " u"]) -> Float[Array, "t d"]:
        return scores[number] + LOUDNESS * loudness

    def loss(scores: Float[Array, " u"], share: Array, moved: Array) -> Float[Array, ""]:
        mask = keep_mask(elements(scores), context.sounding, share)
        part = mask * (latent - nothing)
        kept, residual = context.resound(jnp.stack([nothing + part, latent - part]), moved)[1]
        if context.settings.forced:
            return residual - kept
        return jax.nn.softplus(bounds[moved] - kept) + jax.nn.softplus(residual)

    def generation(scores: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
        place, share = at
        key = jax.random.fold_in(context.key, place)
        drawn = jax.vmap(lambda unit: jax.random.normal(jax.random.fold_in(key, unit), (population,)), out_axes=1)
        noise = drawn(jnp.arange(count))
        variants = scores + STEP * FALL**place * noise.at[0].set(0)
        order = jnp.argsort(jax.lax.map(lambda own: loss(own, share, place % 2), variants, batch_size=population))
        return variants[order[:parents]].mean(0), None

    shares = jnp.resize(jnp.asarray(SHARES), (GENERATIONS,))
    found, _ = jax.lax.scan(generation, start / deviation, (jnp.arange(GENERATIONS), shares))
    return elements(found)
