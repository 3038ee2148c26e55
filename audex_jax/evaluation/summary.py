"""From the scores of single clips to the figures of an evaluation: curves, areas, intervals, comparisons."""

import dataclasses
import math
from typing import Any

import numpy as np

from audex_jax.evaluation.attribution_metrics import ATTRIBUTION_METRICS
from audex_jax.evaluation.metrics import METRICS, Edited
from audex_jax.evaluation.plan import MODES
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.statistics import FEWEST, Interval, all_or_none, area, bootstrap, compare, holm
from audex_jax.explain.explainer import GAP_TOLERANCE
from audex_jax.explain.model import DOMAINS

Groups = tuple[str | None, ...] | None  # the clips' speakers, where all are known


@dataclasses.dataclass(frozen=True)
class Curves:
    """Scores of one method with one filler, averaged over seeds.

    Attributes:
        method, filler: which.
        agrees, correct, probability, softened: one value a clip, `[c, v, mode, domain]`.
        seed_spread: standard deviation over the seeds of the mean agreement, `[v, mode, domain]`; 0 for one seed.
    """

    method: str
    filler: str
    agrees: np.ndarray
    correct: np.ndarray
    probability: np.ndarray
    softened: np.ndarray
    seed_spread: np.ndarray


def curves_of(scores: Scores) -> list[Curves]:
    """The curves of every method and filler, in the plan's order."""
    rows = scores.plan.rows
    agrees, correct = scores.agrees, scores.correct
    found = []
    for method, filler in dict.fromkeys((row.method, row.filler) for row in rows):
        at = [i for i, row in enumerate(rows) if (row.method, row.filler) == (method, filler)]
        spread = agrees[:, at].mean(0).std(0)
        every = (agrees, correct, scores.edited_probability, scores.edited_softened)
        own, right, probability, softened = (a[:, at].astype(float).mean(1) for a in every)
        found.append(Curves(method, filler, own, right, probability, softened, spread))
    return found


def summarise(scores: Scores) -> dict[str, Any]:
    """All figures, as plain numbers that JSON can hold; what cannot be told is None.

    Keys: `clips`, `silent`, `speakers`; `resampled`, what intervals and tests draw: `speakers` where all are known,
    else `clips`; `ceiling`, what the classifier does before anything is taken out; `curves` and `areas`; `comparisons`
    of the first method with each other one, one family for `p_holm`; `metrics` of the field; `attribution`.
    """
    curves, plan = curves_of(scores), scores.plan
    groups = all_or_none(scores.speakers)
    comparable = [c for c in curves if c.method != plan.methods[0]]
    comparisons = [p for c in comparable for p in _comparisons(_reference(curves, c), c, plan.grid, groups)]
    for part, corrected in zip(comparisons, holm([part["p"] for part in comparisons]), strict=True):
        part["p_holm"] = corrected
    return finite(
        {
            "clips": len(scores.files),
            "silent": scores.silent,
            "speakers": None if groups is None else len(set(groups)),
            "resampled": "clips" if groups is None else "speakers",
            "ceiling": _ceiling(scores, groups),
            "curves": [part for c in curves for part in _curve(c, plan.grid, groups)],
            "areas": [part for c in curves for part in _areas(c, plan.grid, groups)],
            "comparisons": comparisons,
            "metrics": [part for c in curves for part in _metrics(c, scores, groups)],
            "attribution": [_attribution(scores, number, name) for number, name in enumerate(plan.fillers)],
        }
    )


def finite(value: Any) -> Any:
    """The same nested record with None for every number that JSON does not know."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _reference(curves: list[Curves], other: Curves) -> Curves:
    """The first method, with the other one's filler; input methods, which know silence only, meet its first filler."""
    own = [c for c in curves if c.method == curves[0].method]
    return next((c for c in own if c.filler == other.filler), own[0])


def _ceiling(scores: Scores, groups: Groups) -> dict:
    figures = {
        "accuracy": scores.predicted == scores.label,
        "accuracy_on_reconstruction": scores.reconstructed == scores.label,
        "agreement_on_reconstruction": scores.reconstructed == scores.predicted,
    }
    return {name: _plain(_interval(values, groups)) for name, values in figures.items()}


def _curve(c: Curves, grid: tuple[float, ...], groups: Groups) -> list[dict]:
    found = _interval(c.agrees, groups)
    return [
        {
            "method": c.method,
            "filler": c.filler,
            "mode": MODES[m],
            "domain": DOMAINS[w],
            "level": list(grid),
            "agreement": found.mean[:, m, w].tolist(),
            "low": found.low[:, m, w].tolist(),
            "high": found.high[:, m, w].tolist(),
            "accuracy": c.correct[:, :, m, w].mean(0).tolist(),
            "probability": c.probability[:, :, m, w].mean(0).tolist(),
            "seed_spread": c.seed_spread[:, m, w].tolist(),
        }
        for m, w in np.ndindex(len(MODES), len(DOMAINS))
        if found.count[0, m, w]
    ]


def _areas(c: Curves, grid: tuple[float, ...], groups: Groups) -> list[dict]:
    agreement, probability = (_interval(area(x, grid, 1), groups) for x in (c.agrees, c.probability))
    return [
        {
            "method": c.method,
            "filler": c.filler,
            "mode": MODES[m],
            "domain": DOMAINS[w],
            "agreement": _plain(_at(agreement, (m, w))),
            "probability": _plain(_at(probability, (m, w))),
        }
        for m, w in np.ndindex(len(MODES), len(DOMAINS))
        if agreement.count[m, w]
    ]


def _comparisons(one: Curves, other: Curves, grid: tuple[float, ...], groups: Groups) -> list[dict]:
    """Advantage of `one`: more agreement when kept, more change when deleted."""
    found = []
    for v, m, w in np.ndindex(len(grid), len(MODES), len(DOMAINS)):
        pair = [c.agrees[:, v, m, w] for c in (one, other)]
        if not 0 < grid[v] < 1 or any(np.isnan(x).all() for x in pair):
            continue
        pair = pair if MODES[m] == "keep" else [1 - x for x in pair]
        result = compare(pair[0], pair[1], groups)
        found.append(
            {
                "method": one.method,
                "filler": one.filler,
                "against": other.method,
                "against_filler": other.filler,
                "mode": MODES[m],
                "domain": DOMAINS[w],
                "level": grid[v],
                **result._asdict(),
            }
        )
    return found


def _metrics(c: Curves, scores: Scores, groups: Groups) -> list[dict]:
    """All of `METRICS`. Through the audio, the whole clip is its reconstruction: the codec's loss is not charged."""
    parts, grid = [], scores.plan.grid
    for w, domain in enumerate(DOMAINS):
        if np.isnan(c.probability[..., w]).all():
            continue
        whole, softened = (x[:, min(w, 1), None].astype(float) for x in (scores.probability, scores.softened))
        kept, residual = (c.probability[:, :, mode, w] for mode in range(len(MODES)))
        edited = Edited(whole, kept, residual, c.agrees[:, :, 0, w], softened, c.softened[:, :, 0, w], grid)
        values = {name: metric(edited) for name, metric in METRICS.items()}
        parts.append(
            {"method": c.method, "filler": c.filler, "domain": domain, "saturated": float((whole == 1).mean())}
            | {
                name: _plain(_interval(value, groups))
                if value.ndim == 1
                else {f"{v:g}": float(x) for v, x in zip(grid, value.mean(0), strict=True)}
                for name, value in values.items()
            }
        )
    return parts


def _attribution(scores: Scores, number: int, filler: str) -> dict:
    """Means of `ATTRIBUTION_METRICS`; of the gap, which has outliers, the median and how often it is too large."""
    values = dict(zip(ATTRIBUTION_METRICS, scores.attribution[:, number].T, strict=True))
    gap = values.pop("gap")
    return {
        "filler": filler,
        "median_gap": float(np.median(gap)),
        "gap_above_5_percent": float((gap > GAP_TOLERANCE).mean()),
        **{name: float(value.mean()) for name, value in values.items()},
    }


def _interval(values: np.ndarray, groups: Groups) -> Interval:
    return bootstrap(values, groups, fewest=FEWEST)


def _at(interval: Interval, index: tuple) -> Interval:
    return Interval(*(part[index] for part in interval))


def _plain(interval: Interval) -> dict:
    return {name: float(value) for name, value in zip(("mean", "low", "high"), interval, strict=False)}
