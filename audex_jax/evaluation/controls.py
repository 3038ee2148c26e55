"""Controls: what the same way of explaining makes of a wrong target, and of a classifier that has learnt nothing.

An explanation that can be had without knowledge is none. So the way that is judged is asked for labels that the clips
do not hold (`explain.control`), once as it is and once *forced*, with the loss of the mask told to maximise the target:
a loss that matches the clip passes the first by construction. And it explains the classifier with its weights shuffled,
beside `magnitude`, the loudest elements, on the same shuffled weights: what that reaches is the floor, not evidence.
"""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from audex_jax.attribution.controls import can_be_shuffled
from audex_jax.core.settings import Settings
from audex_jax.evaluation.blocks import explain_all
from audex_jax.evaluation.localization import model_of
from audex_jax.evaluation.statistics import Comparison, Interval, bootstrap, compare
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.result import Explanation
from audex_jax.io.progress import Bar

FLOOR = "magnitude"
TESTED = ("sufficient", "necessary")


@dataclasses.dataclass(frozen=True)
class Controls:
    """What came of it, one value a clip, `[c]`; NaN where a clip has no label that is absent.

    Attributes:
        wrong, forced: the sound made for the wrong target is classified as that.
        keep, delete: on shuffled weights, what is kept keeps the label, the residual loses it. NaN for a classifier
            whose weights cannot be reached.
        floor_keep, floor_delete: the same for `FLOOR`.
    """

    wrong: np.ndarray
    forced: np.ndarray
    keep: np.ndarray
    delete: np.ndarray
    floor_keep: np.ndarray
    floor_delete: np.ndarray

    def figures(self, speakers: Sequence[Hashable] | None = None) -> dict[str, Any]:
        """Means with intervals of 95 %; of shuffled weights the differences from `FLOOR`, too, as JSON can hold it."""
        single = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        pairs = {
            "keep_above_floor": (self.keep, self.floor_keep),
            "delete_above_floor": (self.delete, self.floor_delete),
        }
        means: dict[str, Interval] = {name: bootstrap(values, speakers) for name, values in single.items()}
        differences: dict[str, Comparison] = {name: compare(*pair, speakers) for name, pair in pairs.items()}
        found = {
            name: {"mean": float(i.mean), "low": float(i.low), "high": upper_bound(single[name], float(i.high))}
            | {"clips": int(i.count)}
            for name, i in means.items()
        }
        return found | {name: c._asdict() for name, c in differences.items()}


def upper_bound(values: np.ndarray, high: float) -> float:
    """The upper end of an interval; where nothing was ever seen, that of 3 in so many clips (the rule of three)."""
    known = values[~np.isnan(values)]
    return min(1.0, 3 / len(known)) if len(known) and not known.any() else high


def run_controls(
    explainer: Explainer,
    clips: Sequence[np.ndarray],
    settings: Settings,
    seed: int = 0,
    quiet: bool = True,
    explained: Sequence[Explanation] | None = None,
) -> Controls:
    """All controls of one way of explaining.

    Args:
        explainer: the model.
        clips: recordings, as for `explain_clips`.
        settings: the way.
        seed: decides how the weights are shuffled.
        quiet: show no progress.
        explained: the clips explained that way, each with its control, if they are already.
    """
    ways = [
        *([] if explained else [(explainer, settings, True)]),
        (explainer, dataclasses.replace(settings, forced=True), True),
    ]
    if known := can_be_shuffled(explainer.model.classifier):
        ignorant = Explainer(model_of(explainer, seed), explainer.labels, explainer.clip_seconds)
        ways += [(ignorant, settings, False), (ignorant, dataclasses.replace(settings, ranking=FLOOR), False)]
    found: list[list[Explanation]] = []
    with Bar("controls", len(ways) * len(clips), quiet) as bar:
        for model, way, control in ways:
            found.append([])
            for explanation in explain_all(model, clips, way, control):
                found[-1].append(explanation)
                bar.update(sum(map(len, found)))
    wrong, forced, *both = [list(explained), *found] if explained else found
    unknown = np.full(len(clips), np.nan)
    return Controls(
        *(np.array([np.nan if e.control_heard is None else e.control_heard for e in some]) for some in (wrong, forced)),
        *(np.array([getattr(e, name) for e in some], float) for some in both for name in TESTED),
        *([] if known else [unknown] * 4),
    )
