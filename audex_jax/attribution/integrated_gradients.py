"""Integrated Gradients: the gradient, averaged along the straight path from a baseline to the clip.

    A = (z - z0) * integral over a in [0, 1] of  grad F(z0 + a (z - z0))  da          sum A = F(z) - F(z0)

Sundararajan et al., "Axiomatic Attribution for Deep Networks", arXiv 1703.01365. The integral is a weighted sum over
the points of `quadrature`, a chunk of them at a time, so that memory never depends on their number.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.adaptive import refine
from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.quadrature import graded, graded_trapezoid_sum, nodes_and_weights
from audex_jax.core.types import Array, Attribution, ClipLatent, Float, Int

FLOOR = 1e-3  # differences |F(z) - F(z0)| below this, in units of F, leave nothing to explain
Scalar = Float[Array, ""]
ScalarFunction = Callable[[ClipLatent], Scalar]


class PathAttribution(NamedTuple):
    """An attribution along a path and how well it adds up; mapped over clips, every field gains a leading axis.

    Attributes:
        attribution: share of each element in F(z) - F(z0), in units of F, `[t, d]`.
        value: F at the clip.
        baseline_value: F at the baseline.
        gap: completeness gap, sum of the attribution - (F(z) - F(z0)); 0 for an exact integral.
        points: gradients that were taken along the path.
        overlap: with automatic steps, the estimated share of the top elements that more points would confirm; NaN
            where the number of steps was given, since nothing was compared.
    """

    attribution: Attribution
    value: Scalar
    baseline_value: Scalar
    gap: Scalar
    points: Int[Array, ""]
    overlap: Scalar


def integrated_gradients(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float,
    *,
    rule: str = "riemann-middle",
    steps: int | Literal["auto"] = 16,
    chunk: int = 8,
    overlap: float = 0.99,
    share: float = 0.2,
    tolerance: float = 0.05,
    most: int = 129,
    affine: Callable[[ClipLatent], Array] | None = None,
    axis: str | None = None,
) -> PathAttribution:
    """Integrated Gradients of one clip; map it over clips with `jax.vmap`.

    Args:
        f: what is explained: any JAX function of one latent `[t, d]` that returns a scalar, for example a logit.
        latent: the clip z, `[t, d]`.
        baseline: the "nothing" z0 that the clip is compared with; any shape that broadcasts to `[t, d]`.
        rule: quadrature rule, see `nodes_and_weights`; with automatic steps "graded-middle" grades the points towards
            the baseline, and any other rule leaves them equally spaced.
        steps: number of points on the path, or "auto" for as many as the ranking needs (see `automatic`).
        chunk: points whose gradients are held in memory at once; changes memory and speed, not the result.
        overlap, share: automatic steps stop when the top `share` of the elements is estimated to overlap by at least
            `overlap` with that of the exact integral ...
        tolerance: ... and the completeness gap is at most this share of |F(z) - F(z0)| ...
        most: ... or when the next refinement would take more points than this.
        affine: an affine map h with which the explained function begins; `f` is then what follows, a function of
            h(latent). The path through h is straight, so h and its transpose are applied once a clip instead of once
            a point:  A = (z - z0) * Dh^T (integral of  grad f(h(z0) + a (h(z) - h(z0)))  da). That h is affine is not
            checked; the completeness gap shows it.
        axis: name of a mapped axis (`jax.pmap`, `jax.shard_map`) whose devices divide the points of this one clip among
            them, for an answer sooner; all are given the same clip, and return the same.

    Returns:
        The attribution with its completeness gap.

    Raises:
        ValueError: an unknown rule, too few steps, a chunk below 1, a baseline that does not broadcast to the latent, a
            function that does not return a scalar, or automatic steps with an axis.

    >>> import jax.numpy as jnp
    >>> result = integrated_gradients(lambda z: (z**2).sum(), jnp.array([[1.0, 2.0]]), 0.0)
    >>> result.attribution.tolist()
    [[1.0, 4.0]]
    """
    baseline = broadcast_baseline(baseline, latent)
    front = affine or (lambda z: z)
    (end, pull_back), start = jax.vjp(front, latent), front(baseline)
    value, baseline_value = ends(f, end, start)
    gradient = path_gradient(f, end, start)
    if steps != "auto":
        nodes, weights = nodes_and_weights(rule, steps)
        if axis is None:
            total = weighted_sum(gradient, nodes, weights, chunk)
        else:
            total = jax.lax.psum(weighted_sum(gradient, *own_points(nodes, weights, axis), chunk), axis)
        (slope,) = pull_back(total)
        return with_gap((latent - baseline) * slope, value, baseline_value, points=steps)
    if axis is not None:
        raise ValueError("automatic steps cannot be divided among devices; give their number, for example steps=16")

    def adds_up(attribution: Attribution) -> Array:
        difference = value - baseline_value
        return jnp.abs(attribution.sum() - difference) <= tolerance * jnp.maximum(jnp.abs(difference), FLOOR)

    def graded_gradient(u: Array) -> Attribution:
        place, slope = graded(u)
        return slope.astype(latent.dtype) * gradient(place)

    integrand = graded_gradient if rule == "graded-middle" else gradient
    refined = refine(
        lambda place: (latent - baseline) * pull_back(integrand(place))[0],
        adds_up,
        overlap=overlap,
        share=share,
        most=most,
        chunk=chunk,
    )
    attribution = refined.attribution
    if rule == "graded-middle":
        attribution = attribution / graded_trapezoid_sum(refined.points - 1)
    result = with_gap(attribution, value, baseline_value, points=0)
    return result._replace(points=refined.points, overlap=refined.overlap)


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
    rule: str = "riemann-middle",
    steps: int = 16,
    chunk: int = 8,
) -> PathAttribution:
    """Integrated Gradients of several numbers of one clip, such as the logits of several labels.

    At each point of the path one forward pass serves all m numbers; only the backward passes are m-fold.

    Args:
        f: function of one latent that returns the m numbers, for example `targets.logits_of(classify, labels)`.
        latent, baseline, rule, steps, chunk: as in `integrated_gradients`.

    Returns:
        As m calls of `integrated_gradients` would, every field with a leading axis m.

    Raises:
        ValueError: as in `integrated_gradients`.
    """
    baseline = broadcast_baseline(baseline, latent)
    values = jax.vmap(f)(jnp.stack([latent, baseline]))
    if values.ndim != 2:
        raise ValueError(f"the explained function returns shape {values.shape[1:]}, it must return m numbers, [m]")
    points, weights = nodes_and_weights(rule, steps)
    jacobian = jax.jacrev(f)
    mean_gradient = weighted_sum(
        lambda a: jacobian(baseline + a.astype(latent.dtype) * (latent - baseline)), points, weights, chunk
    )
    attribution = (latent - baseline)[None] * mean_gradient
    return jax.vmap(functools.partial(with_gap, points=steps))(attribution, values[0], values[1])


def expected_gradients(
    f: ScalarFunction,
    latent: ClipLatent,
    baselines: Float[Array, "m t d"],
    *,
    rule: str = "riemann-middle",
    steps: int = 16,
    chunk: int = 8,
) -> PathAttribution:
    """Integrated Gradients, averaged over many baselines: no single "nothing" has to be defended.

        A = mean over baselines z0 of IG(z, z0)                     Erion et al., arXiv 1906.10670

    The path integral of each baseline is taken in full; `rivals.gradient_shap` samples it instead. All m * steps
    points run through the same chunks, so memory is that of a single baseline.

    Args:
        f: as in `integrated_gradients`.
        latent: the clip, `[t, d]`.
        baselines: for example other clips, drawn by `draw_baselines`, `[m, t, d]`.
        rule, steps, chunk: as in `integrated_gradients`; `steps` points for each baseline.

    Returns:
        The mean attribution; `baseline_value` is the mean of F over the baselines.

    Raises:
        ValueError: as in `integrated_gradients`; or baselines without the leading axis.
    """
    baselines = jnp.asarray(baselines, latent.dtype)
    if baselines.ndim != 3 or baselines.shape[1:] != latent.shape or not len(baselines):
        raise ValueError(f"baselines have shape {baselines.shape}, wanted [m, {latent.shape[0]}, {latent.shape[1]}]")
    nodes, weights = nodes_and_weights(rule, steps)
    which = np.repeat(np.arange(len(baselines)), steps)
    gradient = jax.grad(scalar_valued(f))

    def part(point: tuple) -> Attribution:
        baseline = baselines[point[0]]
        return (latent - baseline) * gradient(baseline + point[1].astype(latent.dtype) * (latent - baseline))

    points = (which, np.tile(nodes, len(baselines)))
    attribution = weighted_sum(part, points, np.tile(weights, len(baselines)) / len(baselines), chunk)
    value = f(latent)
    baseline_value = jax.lax.map(f, baselines, batch_size=chunk).mean()
    return with_gap(attribution, value, baseline_value, points=steps * len(baselines))


def draw_baselines(key: Array, pool: Float[Array, "p t d"], count: int) -> Float[Array, "m t d"]:
    """`count` different clips out of a pool of latents; the same key draws the same ones.

    Raises:
        ValueError: the pool is smaller than `count`.
    """
    if not 1 <= count <= len(pool):
        raise ValueError(f"cannot draw {count} different baselines from {len(pool)} clips")
    return jax.random.choice(key, pool, (count,), replace=False)


def relative_gap(result: PathAttribution, floor: float = FLOOR) -> Scalar:
    """Size of the completeness gap as a share of |F(z) - F(z0)|.

    Args:
        result: of one clip, or mapped over clips.
        floor: differences |F(z) - F(z0)| below this, in units of F, explain nothing that could be compared with.

    Returns:
        The share, 0 at best; NaN where the difference is below the floor.
    """
    difference = jnp.abs(result.value - result.baseline_value)
    return jnp.where(difference >= floor, jnp.abs(result.gap) / jnp.maximum(difference, floor), jnp.nan)


def with_gap(attribution: Attribution, value: Scalar, baseline_value: Scalar, points: int) -> PathAttribution:
    """Result of `points` given points, with its completeness gap."""
    gap = attribution.sum() - (value - baseline_value)
    return PathAttribution(attribution, value, baseline_value, gap, jnp.int32(points), jnp.full_like(gap, jnp.nan))


def path_gradient(f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent) -> Callable[[Array], Attribution]:
    """The gradient of F as a function of the place `a` on the path, 0 at the baseline and 1 at the clip."""
    gradient = jax.grad(f)
    return lambda a: gradient(baseline + a.astype(latent.dtype) * (latent - baseline))


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
