"""How few elements hold how much of the attribution."""

import numpy as np

from audex_jax.explain.result import Explanation


def measure(explanation: Explanation, recording: np.ndarray) -> float:
    """Gini index of the absolute attributions, 0 to 1; near 1 a few elements hold everything.

    Chalasani et al., arXiv 1810.06583.
    """
    del recording
    size = np.sort(np.abs(explanation.attribution).ravel().astype(np.float64) + 1e-7)
    place = 2 * np.arange(1, size.size + 1) - size.size - 1
    return float((place * size).sum() / (size.size * size.sum()))
