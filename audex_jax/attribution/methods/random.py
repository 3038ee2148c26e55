"""Random, a control: standard normal numbers that depend on neither clip nor model; no method should rank worse."""

from typing import Any

import jax

from audex_jax.attribution.path import PathAttribution, ends, with_gap
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid


def attribute(
    f: ScalarFunction, latent: ClipLatent, baseline: ClipLatent, *, valid: ClipValid, key: Array, **_: Any
) -> PathAttribution:
    """`random_attribution` as an `AttributionMethod`."""
    return with_gap(random_attribution(f, latent, baseline, key=key), *ends(f, latent, baseline), 0, valid)


def random_attribution(f: ScalarFunction, latent: ClipLatent, baseline: Array | float, *, key: Array) -> Attribution:
    """Standard normal numbers.

    Args:
        f, baseline: not used; the common signature has them.
        latent: gives the shape.
        key: random key.
    """
    del f, baseline
    return jax.random.normal(key, latent.shape, latent.dtype)
