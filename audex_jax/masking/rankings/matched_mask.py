"""What the clip sounds like and what the classifier takes from it: a mask whose sound matches the clip's own features.

It starts from the loudness of the elements times the size of their attribution, and takes a few gradient steps through
decoder and encoder down a loss that asks of the two halves, decoded and encoded again, half of the times moved by half
a hop:

    anchor     the kept half is like the clip's own latent, and the residual unlike it where the attribution is large
    evidence   the same for the classifier's last hidden state, under dropout
    margin     the kept half says hardly less for the target than the clip does, and the residual no more than nothing

The kept half is to match the clip and not to maximise the target: what the clip does not say, its mask cannot say. In
the end the order is shifted a little towards the loudest elements.
Without hidden states (`Classifier.hidden`), and for classifiers of audio, the evidence is left out.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float
from audex_jax.masking.optimise import optimise_mask
from audex_jax.masking.rank import Context, places
from audex_jax.masking.similarity import COMPANDING, cosine

SHARES = (0.2, 0.1, 0.4, 0.2)
EVIDENCE, MARGIN = 0.5, 0.05  # weights in the loss, beside the anchor's 1
DROPOUT = 0.3
MASK = 0.04  # seconds of the window that scores are smoothed by: masks of single elements fit the codec's grid
LOUDNESS = 0.3  # weight of loudness in the final order: without it, classifiers of the sound itself hear less
WIDE, NARROW = 0.24, 0.04  # and of those for sizes of attributions
TINY = 1e-12


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """Score after `Settings.mask_steps` steps."""
    own, sounding = context.valid[:, None], context.sounding[:, None]
    nothing = jnp.where(own, filler, latent)  # padding stays as it is
    size = jnp.abs(attribution)
    standardise = _standardiser(latent, context.sounding)
    mask_window, wide, narrow = (_smoother(seconds * context.frame_rate) for seconds in (MASK, WIDE, NARROW))
    both = jax.vmap(lambda moved: context.resound(latent[None], moved))(jnp.arange(2))  # decoded once
    whole, whole_margin = (found[:, 0] for found in both)

    def loss(mask: Float[Array, "t d"], step: Array) -> Float[Array, ""]:
        moved, part = step % 2, mask * (latent - nothing)
        halves, margins = context.resound(jnp.stack([nothing + part, latent - part]), moved)
        of_whole, of_kept, of_residual = (standardise(z) * own for z in (whole[moved], *halves))
        weights = narrow(size) * sounding
        weights = weights / jnp.maximum(weights.mean(), TINY) / (jnp.square(of_whole) + 0.25)
        total = cosine(of_residual, of_whole, weights) - cosine(of_kept, of_whole)
        bound = whole_margin[moved]
        if context.features is not None:
            key = jax.random.fold_in(context.key, step)
            read = jnp.stack([*halves, whole[moved], nothing])
            hidden, (*margins, bound, _) = context.features(read, DROPOUT, key)
            kept, residual, all_of_it = (hidden[:3] - hidden[3]) * own
            total += EVIDENCE * (cosine(residual, all_of_it) - cosine(kept, all_of_it))
        if context.settings.forced:
            return total + MARGIN * (margins[1] - margins[0])
        return total + MARGIN * (jax.nn.softplus(bound - margins[0]) + jax.nn.softplus(margins[1]))

    start = jnp.abs(latent - nothing) * jnp.sqrt(wide(size))
    steps = context.settings.mask_steps
    found = optimise_mask(loss, start, context.sounding, shares=SHARES, steps=steps, smooth=mask_window)
    loudness = jnp.abs(latent - nothing)
    return places(found, context.sounding) + LOUDNESS * places(loudness, context.sounding)


def _standardiser(latent: ClipLatent, sounding: ClipValid) -> Callable[[ClipLatent], ClipLatent]:
    """Elements on a logarithmic scale, in standard deviations of their dimension over the frames that sound."""
    companded, weights = jnp.arcsinh(COMPANDING * latent), sounding[:, None] / sounding.sum()
    mean = (weights * companded).sum(0)
    variance = (weights * jnp.square(companded - mean)).sum(0)
    deviation = jnp.sqrt(variance) + 0.1 * jnp.sqrt(variance.mean()) + TINY
    return lambda z: (jnp.arcsinh(COMPANDING * z) - mean) / deviation


def _smoother(frames: float) -> Callable[[Float[Array, "t d"]], Float[Array, "t d"]]:
    """Means over frames, weighted by a Hann window of about `frames` frames, an odd number of them."""
    half = round(frames / 2)
    window = np.hanning(2 * half + 3)[1:-1]

    def smooth(values: Float[Array, "t d"]) -> Float[Array, "t d"]:
        padded = jnp.pad(values, ((half, half), (0, 0)))
        parts = [share * padded[i : i + len(values)] for i, share in enumerate(window / window.sum())]
        return jnp.stack(parts).sum(0)

    return smooth
