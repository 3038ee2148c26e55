"""The verdict on one explanation in plain words: what was tested, how it came out, and whether to believe it.

The only place that turns a record into words: command line, report, JSON, Parquet, notebook and Python show this.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

KINDS = {
    "holds": "holds",
    "shared": "not needed",
    "artefact": "artefact",
    "anything": "could be anything",
    "made-up": "made up",
    "absent": "absent",
    "lost": "lost",
    "codec": "codec differs",
    "attack": "attack",
    "silent": "silence",
}  # and how lists name them
MEANINGS = {
    "holds": "The explanation is sufficient and necessary, also when the sounds are moved by half a codec frame.",
    "shared": "The explanation is sufficient, but the residual gets the same label: the evidence is there twice.",
    "artefact": "It holds only where the codec's frames lie; moved by half a frame it does not.",
    "anything": "The same method made a label heard that is not in the recording, so its success shows nothing.",
    "made-up": "The explanation says far more for the label that was asked for than the recording does.",
    "absent": "The ranking finds nothing of the label that was asked for in the recording, and keeps nothing.",
    "lost": "The explanation is not sufficient: what was kept does not carry the decision.",
    "codec": "The codec's plain reconstruction, as it is or moved, already gets another label. Nothing can be tested.",
    "attack": "The ranking fits the sound to the classifier (`adversarial-mask`): that is no explanation.",
    "silent": "There is no sound above -80 dBFS.",
}
TINY = 1e-9
SOFTER = 0.994  # gain, 0.05 dB, that is worth a word
JUMP = 0.5  # probability that an explanation may give a target beyond what the clip gives it


class Verdict(NamedTuple):
    """What a reader should take away.

    Attributes:
        kind: of `KINDS`; `MEANINGS` says what each of them means.
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

    >>> record = {"prediction": "stop", "target": "stop", "versus": None, "silent": False, "adversarial": False,
    ...     "converged": True, "sound_alone": False,
    ...     "reconstruction_agrees": True, "reconstruction_agrees_shifted": True, "control_heard": False,
    ...     "control_target": "go", "control_probability": 0.01, "explanation_probability": 0.93,
    ...     "gain": 1.0, "sufficient": True, "necessary": True,
    ...     "sufficient_shifted": True, "necessary_shifted": True}
    >>> verdict(record).headline
    "The explanation alone is still classified as 'stop' (0.93), the residual is not; both hold when moved by half a \
codec frame."
    """
    level = record if level is None else level
    label, target = record["prediction"], record["target"]
    if record["silent"]:
        return Verdict("silent", "There is no sound in this recording, so there is nothing to explain.", ())
    kind, headline, reason = _finding(record, level)
    warning = record.get("model_warning")
    reasons = [f"About this model: {warning}"] if warning else []
    reasons += [] if record["converged"] else [f"Do not trust single elements. {record['convergence']}"]
    if reason:
        reasons.append(reason)
    if target != label and kind != "made-up":
        reasons.append(
            f"You asked about {target!r}: its probability is {record['target_probability']:.2f} for the recording and "
            f"{level['explanation_probability']:.2f} for the explanation."
        )
    if record["sound_alone"]:
        reasons.append("The mask matches the sound alone, since this classifier does not tell its hidden features.")
    if record["versus"] is not None:
        reasons.append(_odds(record, level))
    if record["control_target"] is not None and not record["control_heard"]:
        asked, probability = record["control_target"], record["control_probability"]
        told = "keeps nothing" if probability is None else "makes a sound that is not classified as that"
        told += "" if probability is None else f" ({probability:.2f})"
        reasons.append(f"Control: asked for {asked!r}, which is not there, the same method {told}.")
    if level["gain"] < SOFTER:
        softer = f"All sounds of it are {-20 * math.log10(level['gain']):.1f} dB softer than the recording"
        reasons.append(f"{softer}, so that none exceeds full scale, and were classified like that.")
    return Verdict(kind, headline, tuple(reasons))


def _odds(record: Mapping[str, Any], level: Mapping[str, Any]) -> str:
    """The odds of the target against the label that it is explained against, of each sound."""
    against = level["versus_probabilities"]
    own = {
        "reconstruction": record["reconstruction_probability"],
        "explanation": level["explanation_probability"],
        "residual": level["residual_probability"],
    }
    odds = ", ".join(f"{p / max(against[sound], TINY):.2g} for the {sound}" for sound, p in own.items())
    return f"{record['target']!r} rather than {record['versus']!r}: the odds are {odds}."


def _finding(record: Mapping[str, Any], level: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, headline and the reason that goes with it; the first that applies."""
    label, target = record["prediction"], record["target"]
    known = level.get("explanation_probabilities") or {}
    own = known.get(label, level["explanation_probability"] if target == label else None)
    probability = "" if own is None else f" ({own:.2f})"
    if record["adversarial"]:
        headline = "This sound was fitted to the classifier until it said so: it is an attack, not an explanation."
        return "attack", headline, "The same way makes labels heard that are not in the recording."
    if not record["reconstruction_agrees"]:
        headline = f"The codec alone changes the decision: its plain reconstruction is not classified as {label!r}."
        return "codec", headline, "No explanation in sound can be fair here; the codec loses what the classifier needs."
    if target != label and level["explanation_probability"] - record["target_probability"] > JUMP:
        headline = (
            f"The evidence for {target!r} is made up: the recording gives it {record['target_probability']:.2f}, the "
            f"explanation {level['explanation_probability']:.2f}."
        )
        return "made-up", headline, "What was left out spoke against it; the recording as a whole does not say this."
    if record.get("target_absent"):
        headline = f"Nothing in this recording was found that speaks for {target!r}, so nothing is kept."
        return "absent", headline, "The residual is all of it."
    if not level["sufficient"]:
        other = next(iter(known.items()), None)
        instead = f" but as {other[0]!r} ({other[1]:.2f})" if other and other[0] != label else ""
        headline = f"The explanation alone is not classified as {label!r}{instead}."
        return "lost", headline, "What was kept does not carry the decision; keep more, or do not rely on it."
    if record["control_heard"]:
        headline = (
            f"This method could have produced anything here: asked for {record['control_target']!r}, which is not in "
            f"the recording, it makes a sound that is classified as that ({record['control_probability']:.2f})."
        )
        return "anything", headline, "So that the explanation is classified as asked for shows nothing."
    if not record["reconstruction_agrees_shifted"]:
        headline = (
            "The decision depends on where the codec's frames begin: the plain reconstruction, moved by half a frame, "
            f"is not classified as {label!r}."
        )
        return "codec", headline, "No explanation in sound can be tested here."
    if not level["sufficient_shifted"] or (level["necessary"] and not level["necessary_shifted"]):
        which = "explanation is not" if not level["sufficient_shifted"] else "residual is"
        headline = f"An artefact of the codec's frames: moved by half a frame, the {which} classified as {label!r}."
        return "artefact", headline, "It is not in what can be heard; do not rely on it, or keep more."
    if not level["necessary"]:
        headline = f"The explanation alone is still classified as {label!r}{probability}, but so is the residual."
        return "shared", headline, "What was kept is enough for the decision, but not the only thing that leads to it."
    headline = (
        f"The explanation alone is still classified as {label!r}{probability}, the residual is not; both hold when "
        "moved by half a codec frame."
    )
    return "holds", headline, ""
