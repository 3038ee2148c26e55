"""Units: how fine an explanation is. A unit map says to which unit each latent element belongs.

    element            every (frame, dimension) is its own unit; the published grain
    frame              all dimensions of one frame
    dimension          one dimension over the whole clip
    frame-group        one frame of `size` neighbouring dimensions
    segment            all dimensions of `size` neighbouring frames

Maps are plain integer arrays made before compilation; any other grouping, such as the words of a sentence, is one too.
"""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.types import Array, Attribution, Float, Int

UNITS = ("element", "frame", "dimension", "frame-group", "segment")
SIGNS = ("signed", "positive", "absolute")  # how evidence against the target counts


def unit_map(unit: str, frames: int, dims: int, size: int = 1) -> np.ndarray:
    """Number of the unit that each element belongs to.

    Args:
        unit: one of `UNITS`.
        frames, dims: shape of the latent.
        size: dimensions in a group, or frames in a segment; the last one may be smaller.

    Returns:
        Unit numbers from 0 without gaps, `[t, d]`, int32.

    Raises:
        ValueError: an unknown unit, or a size below 1.

    >>> unit_map("segment", 3, 2, size=2).tolist()
    [[0, 0], [0, 0], [1, 1]]
    """
    if size < 1:
        raise ValueError(f"size is {size}; a unit has at least 1 frame or dimension")
    frame, dim = np.indices((frames, dims), dtype=np.int32)
    if unit == "element":
        return frame * dims + dim
    if unit == "frame":
        return frame
    if unit == "dimension":
        return dim
    if unit == "frame-group":
        return frame * -(-dims // size) + dim // size
    if unit == "segment":
        return frame // size
    raise ValueError(f"unknown unit {unit!r}; choose one of {', '.join(UNITS)}")


def importance(attribution: Attribution, sign: str) -> Attribution:
    """What an element counts for in its unit: the attribution itself, its positive part, or its size.

    Raises:
        ValueError: `sign` is not one of `SIGNS`.
    """
    if sign == "signed":
        return attribution
    if sign == "positive":
        return jnp.maximum(attribution, 0)
    if sign == "absolute":
        return jnp.abs(attribution)
    raise ValueError(f"unknown sign {sign!r}; choose one of {', '.join(SIGNS)}")


def check_units(units: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The unit map as an array.

    Raises:
        ValueError: it does not hold whole numbers, or has another shape than the latent.
    """
    units = np.asarray(units)
    if units.shape != shape or not np.issubdtype(units.dtype, np.integer):
        raise ValueError(f"the unit map is {units.dtype} {units.shape}, wanted whole numbers of shape {shape}")
    return units


def unit_scores(scores: Attribution, units: np.ndarray) -> Float[Array, " u"]:
    """Sum of the elements' scores in each unit, `[u]`; sums keep completeness.

    To rank units by positive or absolute evidence take `importance` of the elements first: evidence for and against
    within one unit then does not cancel.
    """
    return jax.ops.segment_sum(scores.ravel(), jnp.asarray(units).ravel(), num_segments=int(np.max(units)) + 1)


def spread(values: Float[Array, " u"], units: np.ndarray | Array) -> Attribution:
    """Give every element its unit's value, `[t, d]`; ranking these ranks whole units."""
    return values[jnp.asarray(units)]


def unit_mask(chosen: Int[Array, " u"] | Array, units: np.ndarray) -> Array:
    """True where an element belongs to a chosen unit, `[t, d]`; `chosen` is true or false for each unit."""
    return jnp.asarray(chosen, bool)[jnp.asarray(units)]
