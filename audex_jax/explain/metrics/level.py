"""Level of the explanation against the reconstruction."""

import numpy as np

from audex_jax.explain.result import Explanation
from audex_jax.io.audio import level_db


def measure(explanation: Explanation, recording: np.ndarray) -> float:
    """Level of the explanation against the reconstruction, in dB; below -12 it is hard to hear."""
    del recording
    return level_db(explanation.audio) - level_db(explanation.reconstruction)
