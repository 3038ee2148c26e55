"""Expected gradients: Integrated Gradients, averaged over many baselines, so that no single one has to be defended.

    A = mean over baselines z0 of IG(z, z0)

Erion et al., arXiv 1906.10670. The path integral of each baseline is taken in full; `gradient_shap` samples it instead.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.chunks import weighted_sum
from audex_jax.attribution.path import Baselines, PathAttribution, sample_count, scalar_valued, with_gap
from audex_jax.attribution.quadrature import nodes_and_weights
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float


def attribute(
    f: ScalarFunction,
    latent: ClipLatent,
    baseline: ClipLatent,
    *,
    baselines: Baselines,
    valid: ClipValid,
    settings: Settings,
    **_: Any,
) -> PathAttribution:
    """`expected_gradients` as an `AttributionMethod`; the steps are divided among the baselines."""
    pool = baselines()
    steps = max(2, -(-sample_count(settings) // len(pool)))  # rules with both ends need 2 points
    return expected_gradients(f, latent, pool, rule=settings.rule, steps=steps, chunk=settings.chunk, valid=valid)


def expected_gradients(
    f: ScalarFunction,
    latent: ClipLatent,
    baselines: Float[Array, "m t d"],
    *,
    rule: str = "graded-middle",
    steps: int = 24,
    chunk: int = 8,
    valid: ClipValid | None = None,
) -> PathAttribution:
    """Expected gradients of one clip; all m * steps points run through the same chunks.

    Args:
        f: as in `integrated_gradients`.
        latent: the clip, `[t, d]`.
        baselines: for example other clips, drawn by `draw_baselines`, `[m, t, d]`.
        rule, chunk, valid: as in `integrated_gradients`.
        steps: number of points for each baseline.

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
    baseline_value = jax.lax.map(f, baselines, batch_size=chunk).mean()
    return with_gap(attribution, f(latent), baseline_value, len(which), valid)


def draw_baselines(key: Array, pool: Float[Array, "p t d"], count: int) -> Float[Array, "m t d"]:
    """`count` different clips out of a pool of latents; the same key draws the same ones.

    Raises:
        ValueError: the pool is smaller than `count`.
    """
    if not 1 <= count <= len(pool):
        raise ValueError(f"cannot draw {count} different baselines from {len(pool)} clips")
    return jax.random.choice(key, pool, (count,), replace=False)
