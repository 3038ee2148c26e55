"""Integrated Gradients: the gradient, averaged along the straight path from a baseline to the clip.

    A = (z - z0) * integral over a in [0, 1] of  grad F(z0 + a (z - z0))  da          sum A = F(z) - F(z0)

Sundararajan et al., "Axiomatic Attribution for Deep Networks", arXiv 1703.01365. The integral is a weighted sum over
the points of `quadrature`; `jax.vmap` takes a chunk of points at once and `jax.lax.scan` adds the chunks up, so that
memory depends on `chunk` alone and never on `steps`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.quadrature import nodes_and_weights
from audex_jax.types import Array, Attribution, ClipLatent, Float

Scalar = Float[Array, ""]
ScalarFunction = Callable[[ClipLatent], Scalar]


class PathAttribution(NamedTuple):
    """An attribution along a path and how well it adds up; mapped over clips, every field gains a leading axis.

    Attributes:
        attribution: share of each element in F(z) - F(z0), in units of F, `[t, d]`.
        value: F at the clip.
        baseline_value: F at the baseline.
        gap: completeness gap, sum of the attribution - (F(z) - F(z0)); 0 for an exact integral.
    """

    attribution: Attribution
    value: Scalar
    baseline_value: Scalar
    gap: Scalar


def integrated_gradients(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: Array | float,
    *,
    rule: str = "riemann-middle",
    steps: int = 16,
    chunk: int = 8,
) -> PathAttribution:
    """Integrated Gradients of one clip; map it over clips with `jax.vmap`.

    Args:
        f: what is explained: any JAX function of one latent `[t, d]` that returns a scalar, for example a logit.
        latent: the clip z, `[t, d]`.
        baseline: the "nothing" z0 that the clip is compared with; any shape that broadcasts to `[t, d]`.
        rule: quadrature rule, see `nodes_and_weights`.
        steps: number of points on the path.
        chunk: points whose gradients are held in memory at once; changes memory and speed, not the result.

    Returns:
        The attribution with its completeness gap.

    Raises:
        ValueError: an unknown rule, too few steps, a chunk below 1, a baseline that does not broadcast to the latent,
            or a function that does not return a scalar.

    >>> import jax.numpy as jnp
    >>> result = integrated_gradients(lambda z: (z**2).sum(), jnp.array([[1.0, 2.0]]), 0.0)
    >>> result.attribution.tolist()
    [[1.0, 4.0]]
    """
    nodes, weights = nodes_and_weights(rule, steps)
    baseline = broadcast_baseline(baseline, latent)
    value, baseline_value = jax.vmap(scalar_valued(f))(jnp.stack([latent, baseline]))
    gradient = path_integral(jax.grad(f), latent, baseline, nodes, weights, chunk)
    attribution = (latent - baseline) * gradient
    return PathAttribution(attribution, value, baseline_value, attribution.sum() - (value - baseline_value))


def relative_gap(result: PathAttribution, floor: float = 1e-3) -> Scalar:
    """Size of the completeness gap as a share of |F(z) - F(z0)|.

    Args:
        result: of one clip, or mapped over clips.
        floor: differences |F(z) - F(z0)| below this, in units of F, explain nothing that could be compared with.

    Returns:
        The share, 0 at best; NaN where the difference is below the floor.
    """
    difference = jnp.abs(result.value - result.baseline_value)
    return jnp.where(difference >= floor, jnp.abs(result.gap) / jnp.maximum(difference, floor), jnp.nan)


def path_integral(
    integrand: Callable[[ClipLatent], Array],
    latent: ClipLatent,
    baseline: ClipLatent,
    nodes: np.ndarray | Array,
    weights: np.ndarray | Array,
    chunk: int,
) -> Array:
    """Weighted sum of a function over points z0 + a (z - z0) of the straight path, `chunk` points at a time.

    Args:
        integrand: array-valued function of one latent, in Integrated Gradients the gradient of F.
        latent, baseline: ends of the path, `[t, d]`.
        nodes, weights: quadrature rule, `[s]` each.
        chunk: points held in memory at once.

    Returns:
        The integral, of the integrand's shape.

    Raises:
        ValueError: a chunk below 1.
    """
    nodes, weights = in_chunks(nodes, weights, chunk)
    difference = latent - baseline

    def add(total, points):
        alphas, shares = points
        values = jax.vmap(lambda alpha: integrand(baseline + alpha * difference))(alphas)
        return total + (values * shares.reshape(-1, *[1] * (values.ndim - 1))).sum(0), None

    total = jnp.zeros_like(jax.eval_shape(integrand, latent))
    points = (jnp.asarray(nodes, latent.dtype), jnp.asarray(weights, latent.dtype))
    return jax.lax.scan(add, total, points)[0]


def in_chunks(nodes: np.ndarray | Array, weights: np.ndarray | Array, chunk: int) -> tuple[Array, Array]:
    """Cut points into the fewest equal chunks of at most `chunk`, `[chunks, points]` each.

    What is missing in the last chunk is filled with the last point at weight 0: a point that is taken anyway, so
    that its gradient is as finite as the others.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, (int, np.integer)) or chunk < 1:
        raise ValueError(f"chunk is {chunk!r}; it needs a whole number of at least 1")
    chunks = -(-len(nodes) // chunk)
    points = -(-len(nodes) // chunks)
    missing = chunks * points - len(nodes)
    nodes = jnp.pad(jnp.asarray(nodes), (0, missing), mode="edge")
    weights = jnp.pad(jnp.asarray(weights), (0, missing))
    return nodes.reshape(chunks, points), weights.reshape(chunks, points)


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


def scalar_valued(f: ScalarFunction) -> ScalarFunction:
    """`f`, with a clear error if it does not return a scalar."""

    def checked(latent: ClipLatent) -> Scalar:
        value = f(latent)
        if jnp.shape(value) != ():
            raise ValueError(
                f"the explained function returns shape {jnp.shape(value)}, it must return one number; "
                "pick a class first, for example `lambda z: classifier(z)[label]`"
            )
        return value

    return checked
