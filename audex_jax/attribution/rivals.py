"""What Integrated Gradients is compared with: cheap, sampled and meaningless attributions of one clip.

Each takes `(f, latent, baseline)` first and returns an attribution `[t, d]`; map it over clips with `jax.vmap`, with
one key a clip. A method that IG does not clearly beat explains as well at less cost.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.integrated_gradients import ScalarFunction, broadcast_baseline, scalar_valued
from audex_jax.core.types import Array, Attribution, ClipLatent, Float

Model = TypeVar("Model")


def random_attribution(f: ScalarFunction, latent: ClipLatent, baseline: Array | float, *, key: Array) -> Attribution:
    """Standard normal numbers, blind to clip and classifier: the floor of every comparison."""
    del f, baseline
    return jax.random.normal(key, latent.shape, latent.dtype)


def magnitude(f: ScalarFunction, latent: ClipLatent, baseline: Array | float) -> Attribution:
    """|z - z0|, blind to the classifier: what the factor z - z0 of Integrated Gradients ranks by itself."""
    del f
    return jnp.abs(latent - broadcast_baseline(baseline, latent))


def saliency(f: ScalarFunction, latent: ClipLatent, baseline: Array | float = 0.0) -> Attribution:
    """|grad F(z)|: where a small change matters most. Simonyan et al., arXiv 1312.6034."""
    del baseline
    return jnp.abs(jax.grad(scalar_valued(f))(latent))


def gradient_x_input(f: ScalarFunction, latent: ClipLatent, baseline: Array | float) -> Attribution:
    """grad F(z) * (z - z0): Integrated Gradients with its integral replaced by its end. Arrays as in IG."""
    return jax.grad(scalar_valued(f))(latent) * (latent - broadcast_baseline(baseline, latent))


def smooth_grad(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float = 0.0,
    *,
    key: Array,
    samples: int = 16,
    noise: float = 0.15,
    chunk: int = 8,
) -> Attribution:
    """Mean gradient, with sign, over noisy copies of the clip. Smilkov et al., arXiv 1706.03825.

    Args:
        f, latent: as in `integrated_gradients`; the baseline is not used.
        baseline: ignored; there for the common signature.
        key: random key; each sample draws from a key of its own, so `chunk` changes nothing.
        samples: number of noisy copies.
        noise: standard deviation of the noise as a share of the clip's range, max z - min z.
        chunk: copies held in memory at once.
    """
    del baseline
    deviation = noise * (latent.max() - latent.min())
    gradient = jax.grad(scalar_valued(f))

    def noisy(key: Array) -> Attribution:
        return gradient(latent + deviation * jax.random.normal(key, latent.shape, latent.dtype))

    return weighted_sum(noisy, jax.random.split(key, samples), jnp.full(samples, 1 / samples), chunk)


def gradient_shap(
    f: ScalarFunction,
    latent: ClipLatent,
    baselines: Float[Array, "m t d"],
    *,
    key: Array,
    samples: int = 16,
    noise: float = 0.0,
    chunk: int = 8,
) -> Attribution:
    """Expected gradients by sampling: a random baseline and a random place on its path for each sample.

        mean of grad F(z0 + a (zn - z0)) * (zn - z0),  zn = z + noise,  a uniform,  z0 drawn from the baselines

    Lundberg and Lee, arXiv 1705.07874; Erion et al., arXiv 1906.10670.

    Args:
        f, latent: as in `integrated_gradients`.
        baselines: `[m, t, d]`.
        key, samples, chunk: as in `smooth_grad`.
        noise: standard deviation of noise added to the clip, in units of the latent.
    """
    gradient = jax.grad(scalar_valued(f))

    def sample(key: Array) -> Attribution:
        noise_key, which_key, place_key = jax.random.split(key, 3)
        noisy = latent + noise * jax.random.normal(noise_key, latent.shape, latent.dtype)
        baseline = baselines[jax.random.randint(which_key, (), 0, len(baselines))]
        place = jax.random.uniform(place_key, (), latent.dtype)
        return gradient(baseline + place * (noisy - baseline)) * (noisy - baseline)

    return weighted_sum(sample, jax.random.split(key, samples), jnp.full(samples, 1 / samples), chunk)


def shuffled_weights(model: Model, key: Array) -> Model:
    """A model that knows nothing: the entries of each weight array, in random order.

    Integrated Gradients on it is the null of every claim: what it ranks highly comes from the factor z - z0 and from
    the architecture, not from what was learnt (Adebayo et al., arXiv 1810.03292). Each array keeps its own mean,
    spread and sparsity, as a fresh initialisation would not.
    """
    leaves, structure = jax.tree.flatten(model)
    keys = jax.random.split(key, len(leaves))
    shuffled = [
        jax.random.permutation(k, leaf.ravel()).reshape(leaf.shape) for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, shuffled)
