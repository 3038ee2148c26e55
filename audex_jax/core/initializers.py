"""Layers with PyTorch's conventions, and first values of weights: drawn, or zeros where only shapes are asked for.

Tracing what draws random numbers takes JAX long.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx

from audex_jax.core.types import Array


def init_param(initializer: Callable[..., Array], rngs: nnx.Rngs | None, shape: Sequence[int]) -> Array:
    """What an initializer (`nnx.initializers`) draws for `shape`; zeros without random numbers."""
    return jnp.zeros(shape) if rngs is None else initializer(rngs.params(), shape)


def linear(
    inputs: int,
    outputs: int,
    rngs: nnx.Rngs | None,
    initializer: Callable[..., Array] = nnx.initializers.lecun_normal(),  # noqa: B008  # as Flax does
) -> nnx.Linear:
    """`nnx.Linear`, whose kernel is zeros without random numbers."""
    if rngs is None:
        initializer, rngs = nnx.initializers.zeros, nnx.Rngs(0)
    return nnx.Linear(inputs, outputs, kernel_init=initializer, rngs=rngs)


def layer_norm(width: int) -> nnx.LayerNorm:
    """Layer normalisation over the last axis with PyTorch's epsilon; mean and mean square in one pass."""
    return nnx.LayerNorm(width, epsilon=1e-5, use_fast_variance=True, rngs=nnx.Rngs(0))


def group_norm(channels: int) -> nnx.GroupNorm:
    """GroupNorm with one group and PyTorch's epsilon: statistics over time and channels of each clip."""
    return nnx.GroupNorm(channels, num_groups=1, epsilon=1e-5, use_fast_variance=False, rngs=nnx.Rngs(0))
