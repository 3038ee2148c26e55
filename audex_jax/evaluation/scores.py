"""Everything that an evaluation finds, clip by clip."""

import dataclasses

import numpy as np

from audex_jax.evaluation.plan import Plan


@dataclasses.dataclass(frozen=True)
class Scores:
    """The classified edits of all clips. Arrays have the clips first.

    Axes: c clips, r `plan.rows`, v `plan.grid`, then modes (`plan.MODES`) and domains (`explain.model.DOMAINS`); f
    fillers of the plan, a `ATTRIBUTION_METRICS`.

    Attributes:
        plan: what was measured.
        labels: names of the classes.
        files, speakers: of the clips; a speaker may be None.
        silent: clips left out since they hold no sound.
        label: class by the folder, `[c]`.
        predicted, reconstructed: class of the clip and of the codec's reconstruction, `[c]`.
        probability: of the predicted class, of the clip and of its reconstruction, `[c, 2]`.
        edited_label, edited_probability: class, and probability of the predicted one, of every edit, `[c, r, v, 2, 2]`.
            Where a method edits the sound itself, the latent's class is -1 and its probability NaN.
        softened, edited_softened: the probabilities after a second softmax, as SpeechBrain's AD takes them.
        attribution: metrics of the attribution by Integrated Gradients, for each filler, `[c, f, a]`.
    """

    plan: Plan
    labels: tuple[str, ...]
    files: tuple[str, ...]
    speakers: tuple[str | None, ...]
    silent: int
    label: np.ndarray
    predicted: np.ndarray
    reconstructed: np.ndarray
    probability: np.ndarray
    edited_label: np.ndarray
    edited_probability: np.ndarray
    softened: np.ndarray
    edited_softened: np.ndarray
    attribution: np.ndarray

    @property
    def agrees(self) -> np.ndarray:
        """Does the edit still get the predicted class? float, NaN where nothing was classified."""
        return self._same(self.predicted)

    @property
    def correct(self) -> np.ndarray:
        """Does the edit get the folder's label? As `agrees`."""
        return self._same(self.label)

    def _same(self, label: np.ndarray) -> np.ndarray:
        same = (self.edited_label == label[:, None, None, None, None]).astype(float)
        return np.where(self.edited_label < 0, np.nan, same)
