"""The verdict on one explanation in plain words: what was tested, how it came out, and whether to believe it.

The only place that turns a record into words: command line, report, JSON, Parquet, notebook and Python show this.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

KINDS = {
    "holds": "holds",
    "shared": "not needed",
    "lost": "lost",
    "codec": "codec differs",
    "silent": "silence",
}  # and how lists name them


class Verdict(NamedTuple):
    """What a reader should take away.

    Attributes:
        kind: `holds` (sufficient and necessary), `shared` (sufficient only), `lost` (not sufficient), `codec` (the
            reconstruction alone changes the decision) or `silent`.
        headline: one sentence.
        reasons: further sentences, the most important first.
    """

    kind: str
    headline: str
    reasons: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"kind": self.kind, "headline": self.headline, "reasons": list(self.reasons)}


def verdict(record: Mapping[str, Any], level: Mapping[str, Any] | None = None) -> Verdict:
    """Judge an explanation by its record.

    Args:
        record: the fields of `explain.result.judgement`, of a clip.
        level: those of them that depend on the share of kept elements, at another share; None for the record's own.

    >>> record = {"prediction": "stop", "target": "stop", "silent": False, "reconstruction_agrees": True,
    ...     "sufficient": True, "explanation_probability": 0.93, "necessary": True, "converged": True}
    >>> verdict(record).headline
    "The explanation alone is still classified as 'stop' (0.93); the residual is not."
    """
    level = record if level is None else level
    label, target = record["prediction"], record["target"]
    if record["silent"]:
        return Verdict("silent", "There is no sound in this recording, so there is nothing to explain.", ())
    reasons = []
    if not record["converged"]:
        reasons.append(f"Do not trust single elements. {record['convergence']}")
    if target != label:
        reasons.append(
            f"You asked about {target!r}: its probability is {record['target_probability']:.2f} for the recording and "
            f"{level['explanation_probability']:.2f} for the explanation."
        )
    known = level.get("explanation_probabilities") or {}
    own = known.get(label, level["explanation_probability"] if target == label else None)
    probability = "" if own is None else f" ({own:.2f})"
    if not record["reconstruction_agrees"]:
        headline = f"The codec alone changes the decision: its plain reconstruction is not classified as {label!r}."
        reasons.append("No explanation in sound can be fair here; the codec loses what the classifier needs.")
        return Verdict("codec", headline, tuple(reasons))
    if not level["sufficient"]:
        other = next(iter(known.items()), None)
        instead = f" but as {other[0]!r} ({other[1]:.2f})" if other and other[0] != label else ""
        headline = f"The explanation alone is not classified as {label!r}{instead}."
        reasons.append("What was kept does not carry the decision; keep more, or do not rely on it.")
        return Verdict("lost", headline, tuple(reasons))
    if not level["necessary"]:
        headline = f"The explanation alone is still classified as {label!r}{probability}, but so is the residual."
        reasons.append("What was kept is enough for the decision, but not the only thing that leads to it.")
        return Verdict("shared", headline, tuple(reasons))
    headline = f"The explanation alone is still classified as {label!r}{probability}; the residual is not."
    return Verdict("holds", headline, tuple(reasons))
