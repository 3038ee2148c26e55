"""What every attribution method returns, and what several methods share.

The completeness gap of a result is what Captum calls the convergence delta.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.protocols import PathAttribution, Scalar, ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float

FLOOR = 1e-3  # a difference |F(z) - F(z0)| below this, in units of F, is too small to be explained
Baselines = Callable[[], Float[Array, "m t d"]]


def with_gap(
    attribution: Attribution,
    value: Scalar,
    baseline_value: Scalar,
    points: int | Array,
    valid: ClipValid | None = None,
) -> PathAttribution:
    """Result with its completeness gap; where `valid` is False, in padding, the attribution is 0."""
    if valid is not None:
        attribution = jnp.where(valid[:, None], attribution, 0)
    gap = attribution.sum() - (value - baseline_value)
    return PathAttribution(attribution, value, baseline_value, gap, jnp.int32(points), jnp.float32(jnp.nan))


def relative_gap(result: PathAttribution, floor: float = FLOOR) -> Scalar:
    """Size of the completeness gap as a share of |F(z) - F(z0)|.

    Args:
        result: of one clip, or mapped over clips.
        floor: smallest difference |F(z) - F(z0)|, in units of F, with which the gap is compared.

    Returns:
        The share, 0 at best; NaN where the difference is below the floor.
    """
    difference = jnp.abs(result.value - result.baseline_value)
    return jnp.where(difference >= floor, jnp.abs(result.gap) / jnp.maximum(difference, floor), jnp.nan)


def path_gradient(f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent) -> Callable[[Array], Attribution]:
    """The gradient of F as a function of the place `a` on the path, 0 at the baseline and 1 at the clip.

    It is float32 at least, so that the sum over many points loses no digits.
    """
    gradient = jax.grad(f)
    wide = jnp.promote_types(latent.dtype, jnp.float32)
    return lambda a: gradient(baseline + a.astype(latent.dtype) * (latent - baseline)).astype(wide)


def ends(f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent) -> tuple[Scalar, Scalar]:
    """F at the clip and at the baseline."""
    value, baseline_value = jax.vmap(scalar_valued(f))(jnp.stack([latent, baseline]))
    return value, baseline_value


def scalar_valued(f: ScalarFunction) -> ScalarFunction:
    """`f`, with a clear error if it does not return a scalar."""

    def checked(latent: ClipLatent) -> Scalar:
        value = f(latent)
        if jnp.shape(value) != ():
            raise ValueError(
                f"the explained function returns shape {jnp.shape(value)}, it must return one number; "
                "pick a class first, for example `targets.logit(classify, label)`"
            )
        return value

    return checked


def broadcast_baseline(baseline: Array | float, latent: ClipLatent) -> ClipLatent:
    """The baseline in the latent's shape and type.

    Raises:
        ValueError: it does not broadcast to the latent.
    """
    shape = np.shape(baseline)
    try:
        fits = np.broadcast_shapes(shape, latent.shape) == latent.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the baseline has shape {shape}, which does not broadcast to the latent's {latent.shape}; "
            "give a number, one vector per dimension [d], or a latent [t, d] of as many frames"
        )
    return jnp.broadcast_to(jnp.asarray(baseline, latent.dtype), latent.shape)


def sample_count(settings: Settings) -> int:
    """Number of samples for a method without automatic steps: `settings.steps`, or the default for "auto"."""
    return settings.steps if isinstance(settings.steps, int) else int(Settings.steps)
