"""Integrated Gradients: the gradient, averaged along the straight path from a baseline to the clip.

    A = (z - z0) * integral over a in [0, 1] of  grad F(z0 + a (z - z0))  da          sum A = F(z) - F(z0)

Sundararajan et al., "Axiomatic Attribution for Deep Networks", arXiv 1703.01365. The integral is a weighted sum over
the points of `quadrature`, a chunk of them at a time, so that memory does not depend on their number.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.adaptive import adaptive_quadrature
from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.path import (
    FLOOR,
    PathAttribution,
    broadcast_baseline,
    ends,
    path_gradient,
    with_gap,
)
from audex_jax.attribution.quadrature import graded, graded_trapezoid_sum, nodes_and_weights
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, settings: Settings, **_: Any
) -> PathAttribution:
    """`integrated_gradients` as an `AttributionMethod`."""
    how = {"rule": settings.rule, "steps": settings.steps, "chunk": settings.chunk}
    return integrated_gradients(f, latent, baseline, valid=valid, **how)


def integrated_gradients(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float,
    *,
    rule: str = "graded-middle",
    steps: int | Literal["auto"] = 24,
    chunk: int = 8,
    overlap: float = 0.99,
    share: float = 0.2,
    tolerance: float = 0.05,
    most: int = 129,
    valid: ClipValid | None = None,
    axis: str | None = None,
) -> PathAttribution:
    """Integrated Gradients of one clip; map it over clips with `jax.vmap`.

    Args:
        f: what is explained: any JAX function of one latent `[t, d]` that returns a scalar, for example a logit.
        latent: the clip z, `[t, d]`.
        baseline: the latent z0 that stands for nothing; any shape that broadcasts to `[t, d]`.
        rule: quadrature rule, see `nodes_and_weights`; with automatic steps "graded-middle" grades the points towards
            the baseline, and any other rule leaves them equally spaced.
        steps: number of points on the path, or "auto" for as many as the ranking needs (see `adaptive`).
        chunk: points whose gradients are held in memory at once; changes memory and speed, not the result.
        overlap, share: automatic steps stop when the top `share` of the elements is estimated to overlap by at least
            `overlap` with that of the exact integral ...
        tolerance: ... and the completeness gap is at most this share of |F(z) - F(z0)| ...
        most: ... or when the next refinement would take more points than this.
        valid: the clip's own frames, `[t]`; the others are padding, which gets attribution 0 and is not ranked. None
            for no padding.
        axis: name of a mapped axis (`jax.pmap`, `jax.shard_map`) whose devices divide the points of this one clip among
            them, for an answer sooner; all are given the same clip, and return the same.

    Returns:
        The attribution with its completeness gap.

    Raises:
        ValueError: an unknown rule, too few steps, a chunk below 1, a baseline that does not broadcast to the latent, a
            function that does not return a scalar, or automatic steps with an axis.

    Examples:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[3.0, 2.0]])
        >>> result = integrated_gradients(lambda z: z[0, 0] * z[0, 1], z, 0.0, rule="riemann-middle")
        >>> result.attribution.tolist()
        [[3.0, 3.0]]
    """
    baseline = broadcast_baseline(baseline, latent)
    value, baseline_value = ends(f, latent, baseline)
    gradient = path_gradient(f, latent, baseline)
    if steps != "auto":
        nodes, weights = nodes_and_weights(rule, steps)
        if axis is None:
            total = weighted_sum(gradient, nodes, weights, chunk)
        else:
            total = jax.lax.psum(weighted_sum(gradient, *own_points(nodes, weights, axis), chunk), axis)
        attribution = ((latent - baseline) * total).astype(latent.dtype)
        return with_gap(attribution, value, baseline_value, steps, valid)
    if axis is not None:
        raise ValueError("automatic steps cannot be divided among devices; give their number, for example steps=16")

    def integrand(place: Array) -> Attribution:
        if rule != "graded-middle":
            return (latent - baseline) * gradient(place)
        place, density = graded(place)
        return density * (latent - baseline) * gradient(place)

    def normalized(integral: Attribution, cells: Array) -> Attribution:
        return integral / graded_trapezoid_sum(cells) if rule == "graded-middle" else integral

    def adds_up(integral: Attribution, cells: Array) -> Array:
        difference = value - baseline_value
        return jnp.abs(normalized(integral, cells).sum() - difference) <= tolerance * jnp.maximum(
            jnp.abs(difference), FLOOR
        )

    found = adaptive_quadrature(integrand, adds_up, overlap=overlap, share=share, most=most, chunk=chunk, valid=valid)
    attribution = normalized(found.integral, found.points - 1).astype(latent.dtype)
    result = with_gap(attribution, value, baseline_value, found.points, valid)
    return result._replace(overlap=found.overlap)


def own_points(nodes: np.ndarray, weights: np.ndarray, axis: str) -> tuple[Array, Array]:
    """Every device's share of a quadrature rule along a mapped axis; shares are even, filled up at weight 0."""
    devices = jax.lax.axis_size(axis)
    missing = -len(nodes) % devices
    shares = np.pad(nodes, (0, missing), mode="edge"), np.pad(weights, (0, missing))
    own, own_weights = (jnp.asarray(a.reshape(devices, -1))[jax.lax.axis_index(axis)] for a in shares)
    return own, own_weights


def integrated_gradients_of_each(
    f: Callable[[ClipLatent], Float[Array, " m"]],
    latent: ClipLatent,
    baseline: Array | float,
    *,
    rule: str = "graded-middle",
    steps: int = 24,
    chunk: int = 8,
) -> PathAttribution:
    """Integrated Gradients of several numbers of one clip, such as the logits of several labels.

    At each point of the path one forward pass serves all m numbers; only the backward passes are m-fold.

    Args:
        f: function of one latent that returns the m numbers, for example `targets.logits_of(classify, labels)`.
        latent, baseline, rule, chunk: as in `integrated_gradients`.
        steps: number of points on the path.

    Returns:
        As m calls of `integrated_gradients` would, every field with a leading axis m.

    Raises:
        ValueError: as in `integrated_gradients`.
    """
    baseline = broadcast_baseline(baseline, latent)
    values = jax.vmap(f)(jnp.stack([latent, baseline]))
    if values.ndim != 2:
        raise ValueError(f"the explained function returns shape {values.shape[1:]}, it must return m numbers, [m]")
    nodes, weights = nodes_and_weights(rule, steps)
    jacobian = jax.jacrev(f)
    mean_gradient = weighted_sum(
        lambda a: jacobian(baseline + a.astype(latent.dtype) * (latent - baseline)), nodes, weights, chunk
    )
    attribution = (latent - baseline)[None] * mean_gradient
    return jax.vmap(functools.partial(with_gap, points=steps))(attribution, values[0], values[1])
