"""What a model makes of a clip is checked before anybody hears of it."""

from typing import Any

import numpy as np

from audex_jax.core.errors import ModelError
from audex_jax.core.level import LOUDEST
from audex_jax.explain.result import Explanation
from audex_jax.explain.step import Sounds


def usable(found: Explanation | ModelError) -> Explanation:
    """An explanation; what stands in its place is raised."""
    if isinstance(found, ModelError):
        raise found
    return found


def check_finite(sounds: Sounds, **others: Any) -> None:
    """Check what a step returned for one clip.

    Args:
        sounds: its sounds, and what they are classified as.
        others: further arrays, by what they are.

    Raises:
        ModelError: a number is not finite, or a sound is far beyond full scale.
    """
    whole = others | {"sound": sounds.audio, "logits of its sounds": sounds.logits}
    bad = [name for name, values in whole.items() if not np.isfinite(values).all()]
    if bad:
        raise ModelError(f"what the model makes of it is not finite ({', '.join(bad)}); check the model's bundle")
    if sounds.gain * LOUDEST < 1:
        raise ModelError(f"the model's sounds reach {1 / sounds.gain:.3g} times full scale; check its bundle")
