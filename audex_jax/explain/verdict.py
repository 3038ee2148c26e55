"""The verdict on one explanation in plain words: what was tested, how it came out, and whether to believe it."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """What a reader should take away.

    Attributes:
        kind: `holds` (the explanation alone says the same, the rest does not), `shared` (both do), `lost` (the
            explanation does not), `codec` (the codec alone changes the decision) or `silent`.
        headline: one sentence.
        reasons: further sentences, the most important first.
    """

    kind: str
    headline: str
    reasons: tuple[str, ...]


KINDS = {
    "holds": "holds",
    "shared": "not needed",
    "lost": "lost",
    "codec": "codec differs",
    "silent": "silence",
}


def verdict(record: dict, level: dict | None = None) -> Verdict:
    """Judge an explanation by its record, as `audex explain` writes it.

    Args:
        record: of a recording or of one segment.
        level: one of `record["levels"]`; None for the record's own share of kept elements.

    >>> record = {"prediction": "stop", "target": "stop", "silent": False, "reconstruction_agrees": True,
    ...     "sufficient": True, "explanation_probability": 0.93, "necessary": True, "verdict": {"reliable": True}}
    >>> verdict(record).headline
    "The explanation alone still says 'stop' (0.93), and what was left no longer does."
    """
    heard = record if level is None else level
    said, target = record["prediction"], record["target"]
    if record["silent"]:
        return Verdict("silent", "There is no sound in this recording, so there is nothing to explain.", ())
    reasons = []
    if not record["verdict"]["reliable"]:
        reasons.append(f"Do not trust single moments. {record['verdict']['message']}")
    if target != said:
        reasons.append(
            f"You asked why {target!r}: it gets {record['target_probability']:.2f} of the whole recording and "
            f"{heard['explanation_probability']:.2f} of the explanation."
        )
    heard_as = heard.get("explanation_top", {})
    top = next(iter(heard_as.items())) if len(heard_as) > 1 else None  # tables tell the target's share only
    sure = heard_as.get(said, heard["explanation_probability"] if target == said else None)
    share = "" if sure is None else f" ({sure:.2f})"
    if not record["reconstruction_agrees"]:
        headline = f"The codec alone changes the decision: its plain reconstruction is no longer heard as {said!r}."
        reasons.append("No explanation in sound can be fair here; the fault lies before the explanation.")
        return Verdict("codec", headline, tuple(reasons))
    if not heard["sufficient"]:
        instead = f"; it says {top[0]!r} ({top[1]:.2f})" if top else ""
        headline = f"The explanation alone no longer says {said!r}{instead}."
        reasons.append("What was kept does not carry the decision; listen with more kept, or do not rely on it.")
        return Verdict("lost", headline, tuple(reasons))
    if not heard["necessary"]:
        headline = f"The explanation alone still says {said!r}{share}, but so does what was left."
        reasons.append("What was kept is enough for the decision, but not the only thing that leads to it.")
        return Verdict("shared", headline, tuple(reasons))
    headline = f"The explanation alone still says {said!r}{share}, and what was left no longer does."
    return Verdict("holds", headline, tuple(reasons))
