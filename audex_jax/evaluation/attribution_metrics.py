"""Metrics of an attribution itself: does it add up, how is it shaped, is it right about small changes and stable?

A metric is an entry of `ATTRIBUTION_METRICS`. All count the clip's own elements only. What perturbs a clip comes as an
array, so that the formulas draw nothing themselves.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.attribution.path import FLOOR, PathAttribution
from audex_jax.core.host import compile_step
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float
from audex_jax.explain.model import EncodedClip, Model, explained_logits, has_gradient
from audex_jax.explain.step import attribute, clip_key

TINY = 1e-12
INFIDELITY_NOISE, INFIDELITY_DRAWS = 0.2, 32  # in standard deviations of the clip's latent
SENSITIVITY_NOISE, SENSITIVITY_DRAWS = 0.02, 4


class Attributed(NamedTuple):
    """One clip and its attribution.

    Attributes:
        f: what is explained.
        attribute: the attribution of another latent.
        latent, baseline: `[t, d]`.
        valid: the clip's own frames, `[t]`.
        path: the attribution of the clip.
        noise: of s draws and a number of standard deviations of the clip's latent, `[s, t, d]`; 0 in padding.
    """

    f: ScalarFunction
    attribute: Callable[[ClipLatent], Attribution]
    latent: ClipLatent
    baseline: ClipLatent
    valid: ClipValid
    path: PathAttribution
    noise: Callable[[int, float], Float[Array, "s t d"]]


def gap(clip: Attributed) -> Array:
    """Completeness gap as a share of the difference that is explained."""
    return jnp.abs(clip.path.gap) / jnp.maximum(jnp.abs(clip.path.value - clip.path.baseline_value), FLOOR)


def infidelity_of(clip: Attributed) -> Array:
    """`infidelity` under noise; shapes are compared, and the factor z - z0 is taken out of the attribution."""
    noise, factor = clip.noise(INFIDELITY_DRAWS, INFIDELITY_NOISE), clip.latent - clip.baseline
    return infidelity(clip.f, clip.latent, clip.path.attribution, noise, factor=factor, scaled=True)


def max_sensitivity_of(clip: Attributed) -> Array:
    """`max_sensitivity` to weak noise."""
    noise = clip.noise(SENSITIVITY_DRAWS, SENSITIVITY_NOISE)
    return max_sensitivity(clip.attribute, clip.latent, noise, own=clip.path.attribution)


ATTRIBUTION_METRICS: dict[str, Callable[[Attributed], Array]] = {
    "gap": gap,
    "SPS": lambda clip: sparseness(clip.path.attribution, clip.valid[:, None]),
    "COMP": lambda clip: complexity(clip.path.attribution, clip.valid[:, None]),
    "infidelity": infidelity_of,
    "max_sensitivity": max_sensitivity_of,
}
DEAR = ("infidelity", "max_sensitivity")  # too many evaluations for a classifier without a gradient: NaN


@compile_step(static_argnames="settings")
def measure(
    model: Model, clip: EncodedClip, baseline: ClipLatent, path: PathAttribution, settings: Settings
) -> Float[Array, " a"]:
    """All of `ATTRIBUTION_METRICS` for a clip's attribution by `settings`."""
    logits, own = explained_logits(model, clip), clip.valid[:, None]
    count = own.sum() * clip.latent.shape[1]
    mean = (clip.latent * own).sum() / count
    deviation = jnp.sqrt((jnp.square(clip.latent - mean) * own).sum() / count)

    def noise(draws: int, deviations: float) -> Float[Array, "s t d"]:
        key = jax.random.fold_in(clip_key(clip, settings.seed), draws)
        return deviations * deviation * jax.random.normal(key, (draws, *clip.latent.shape)) * own

    attributed = Attributed(
        lambda latent: logits(latent)[clip.target],
        lambda latent: attribute(model, clip._replace(latent=latent), settings, baseline).attribution,
        clip.latent,
        baseline,
        clip.valid,
        path,
        noise,
    )
    dear, unknown = () if has_gradient(model.classifier) else DEAR, jnp.float32(jnp.nan)
    return jnp.stack([unknown if name in dear else of(attributed) for name, of in ATTRIBUTION_METRICS.items()])


def sparseness(attribution: Float[Array, "..."], own: Array | bool = True) -> Float[Array, ""]:
    """Gini index of the absolute attributions: 0 where all are alike, towards 1 where one holds everything.

    With a = sort(|A| + 1e-7), i from 1 to n: sum (2 i - n - 1) a_i / (n sum a). Chalasani et al., arXiv 1810.06583; as
    in Quantus.

    Args:
        attribution: of any shape.
        own: True for the elements that count; broadcasts to that shape.

    >>> import jax.numpy as jnp
    >>> round(float(sparseness(jnp.array([0.0, 0.0, 0.0, 1.0]))), 4)
    0.75
    """
    own = jnp.broadcast_to(own, attribution.shape)
    n = own.sum()
    a = jnp.sort(jnp.where(own, jnp.abs(attribution) + 1e-7, 0).ravel())  # what does not count comes first, as 0
    place = 2 * (jnp.arange(1, a.size + 1) - a.size + n) - n - 1
    return (place * a).sum() / (n * a.sum())


def complexity(attribution: Float[Array, "..."], own: Array | bool = True) -> Float[Array, ""]:
    """Entropy of the absolute attributions as shares of their sum, in nats: up to ln n where all are alike.

    Bhatt et al., arXiv 2005.00631; as in Quantus. Only comparable for equal n.

    Args:
        attribution, own: as in `sparseness`.

    >>> import jax.numpy as jnp
    >>> round(float(complexity(jnp.ones(4))), 4)
    1.3863
    """
    share = jnp.where(own, jnp.abs(attribution), 0).ravel()
    share = share / jnp.maximum(share.sum(), 1e-30)
    return -jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-30)), 0).sum()


def infidelity(
    f: ScalarFunction,
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
