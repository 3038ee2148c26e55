"""The field's metrics of what an arm keeps and takes out. A metric is one function and one entry of `METRICS`.

All read the classified edits of one arm in one domain. A metric gives one value a clip, `[c]`, or one a clip and level,
`[c, v]`. AI, AD, AG, FF and Fid-In were defined for soft masks on spectrograms (L-MAC, arXiv 2403.13086; SpeechBrain,
`recipes/ESC50/interpret/interpreter_brain.py`); here masks are hard and what is taken out is filled.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from audex_jax.evaluation.statistics import area

EPSILON = 1e-10  # SpeechBrain's


class Edited(NamedTuple):
    """Probabilities of the explained class for one arm in one domain.

    Attributes:
        whole: of the whole clip, `[c, 1]`; through the audio, of its reconstruction.
        kept: when a share is kept alone, `[c, v]`.
        residual: when that share is taken out, `[c, v]`.
        agrees: whether what is kept alone gets the clip's class, `[c, v]`.
        softened_whole, softened_kept: `whole` and `kept` after a second softmax over all classes.
        grid: the shares, `[v]`.
    """

    whole: np.ndarray
    kept: np.ndarray
    residual: np.ndarray
    agrees: np.ndarray
    softened_whole: np.ndarray
    softened_kept: np.ndarray
    grid: Sequence[float]


def insertion(edited: Edited) -> np.ndarray:
    """Area under the probability against the share kept. Higher is better. Petsiuk et al., arXiv 1806.07421."""
    return area(edited.kept, edited.grid, 1)


def deletion(edited: Edited) -> np.ndarray:
    """Area under the probability against the share taken out. Lower is better."""
    return area(edited.residual, edited.grid, 1)


def comprehensiveness(edited: Edited) -> np.ndarray:
    """Probability lost when a share is taken out, mean over shares. Higher is better. DeYoung et al., 1911.03429."""
    return (edited.whole - edited.residual)[:, _inner(edited)].mean(1)


def sufficiency(edited: Edited) -> np.ndarray:
    """Probability lost when a share alone is kept, mean over shares. Lower is better. DeYoung et al., 1911.03429."""
    return (edited.whole - edited.kept)[:, _inner(edited)].mean(1)


def average_increase(edited: Edited) -> np.ndarray:
    """AI: 100 where the explanation alone is surer than the clip, else 0. Higher is better.

    Equal numbers are no increase; where `whole` is 1 in float32 there can be none.
    """
    return 100.0 * (edited.kept > edited.whole)


def average_drop(edited: Edited) -> np.ndarray:
    """AD: share of the probability that the explanation alone loses, in percent. Lower is better."""
    return 100 * np.maximum(edited.whole - edited.kept, 0) / (edited.whole + EPSILON)


def average_drop_speechbrain(edited: Edited) -> np.ndarray:
    """AD as SpeechBrain's recipes print it: a softmax over what are probabilities already.

    It cannot exceed 100 (1 - 1/e) = 63.2; never compare it with `average_drop`.
    """
    return average_drop(edited._replace(whole=edited.softened_whole, kept=edited.softened_kept))


def average_gain(edited: Edited) -> np.ndarray:
    """AG: share of the missing probability that the explanation alone gains, in percent. Higher is better."""
    return 100 * np.maximum(edited.kept - edited.whole, 0) / (1 - edited.whole + EPSILON)


def faithfulness(edited: Edited) -> np.ndarray:
    """FF: probability that is lost when the explanation is taken out, -1 to 1. Higher is better."""
    return edited.whole - edited.residual


METRICS: dict[str, Callable[[Edited], np.ndarray]] = {
    "insertion": insertion,
    "deletion": deletion,
    "insertion_minus_deletion": lambda edited: insertion(edited) - deletion(edited),
    "comprehensiveness": comprehensiveness,
    "sufficiency": sufficiency,
    "AI": average_increase,
    "AD": average_drop,
    "AD of SpeechBrain": average_drop_speechbrain,
    "AG": average_gain,
    "FF": faithfulness,
    "Fid-In": lambda edited: edited.agrees,
}


def _inner(edited: Edited) -> np.ndarray:
    """The shares without both ends."""
    return np.array([0 < share < 1 for share in edited.grid])
