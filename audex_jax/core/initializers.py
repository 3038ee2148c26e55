"""First values of weights, drawn or, for who wants to know shapes only, zeros: to trace what draws takes JAX long."""

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
