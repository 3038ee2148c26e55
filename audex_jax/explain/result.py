"""The record of an explanation, defined once. JSON, Parquet columns, report, notebook and words derive from it.

A field says its unit and, in one sentence, what it means. `judgement` gives the fields that are numbers, texts or
tables of numbers: what is written to files.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from audex_jax.core.settings import Settings
from audex_jax.explain.verdict import Verdict, verdict

TOP = 5  # labels of which files hold the probability


def field(meaning: str, unit: str = "", *, share: bool = False, array: bool = False) -> Any:
    """A field of the record.

    Args:
        meaning: one sentence.
        unit: of the value; shapes for arrays.
        share: the value depends on the share of kept elements.
        array: the value is too large for a line of text.
    """
    return dataclasses.field(metadata={"meaning": meaning, "unit": unit, "share": share, "array": array})


@dataclasses.dataclass(frozen=True, repr=False)
class Explanation:
    """Why one clip was classified as it was, in numbers and in sound. Arrays are NumPy."""

    prediction: str = field("label that the classifier gives the clip")
    prediction_probability: float = field("probability of the prediction", "0 to 1")
    target: str = field("label that is explained; the prediction unless another was asked for")
    versus: str | None = field("label that the target is explained against; none: all others")
    target_probability: float = field("probability of the target, of the clip", "0 to 1")
    probabilities: dict[str, float] = field("probability of all labels, of the clip, highest first", "0 to 1")
    completeness_gap: float | None = field(
        "|sum of attributions - difference of logits| / that difference; none if the difference is below 0.001", "share"
    )
    converged: bool = field("the attribution adds up and its ranking is stable; if not, do not trust single elements")
    convergence: str = field("why it converged or not, and what to do")
    reconstruction_agrees: bool = field("the codec's plain reconstruction gets the same label as the clip")
    reconstruction_probability: float = field("probability of the target, of the plain reconstruction", "0 to 1")
    reconstruction_agrees_shifted: bool = field(
        "so does the reconstruction moved by half a codec frame; what explanations can reach when they are moved"
    )
    silent: bool = field("the clip holds no sound above -80 dBFS; its explanation means nothing")
    adversarial: bool = field("made by a ranking that attacks the classifier; such a sound explains nothing")
    sound_alone: bool = field(
        "the ranking matches the sound alone, since the classifier does not tell its hidden features"
    )
    target_absent: bool = field("the ranking finds the target absent from the clip, so that no element is kept")
    model_warning: str | None = field("what the training of the classifier found wrong with it; none: nothing")
    keep: float = field(
        "share that the explanation keeps of the latent elements of frames that sound", "0 to 1", share=True
    )
    sufficient: bool = field("the explanation's audio, encoded and classified again, gets the same label", share=True)
    necessary: bool = field("the residual's audio gets another label", share=True)
    sufficient_shifted: bool = field(
        "the explanation's audio gets the same label when it is moved by half a codec frame, too", share=True
    )
    necessary_shifted: bool = field("the residual's audio, moved likewise, gets another label", share=True)
    explanation_probability: float = field(
        "probability of the target, of the explanation's audio", "0 to 1", share=True
    )
    explanation_probabilities: dict[str, float] = field(
        "probability of all labels, of the explanation's audio, highest first", "0 to 1", share=True
    )
    residual_probability: float = field("probability of the target, of the residual's audio", "0 to 1", share=True)
    versus_probabilities: dict[str, float] = field(
        "probability of that label, of the audio of reconstruction, explanation and residual; empty without one",
        "0 to 1",
        share=True,
    )
    latent_sufficient: bool = field("the kept part of the latent, not decoded, gets the same label", share=True)
    latent_necessary: bool = field("the residual latent, not decoded, gets another label", share=True)
    control_target: str | None = field(
        "strongest label of probability below 0.05 in the clip, which the same method was asked for; none: no control"
    )
    control_probability: float | None = field(
        "probability of that label, of the sound that the method made for it; none: it kept nothing", "0 to 1"
    )
    control_heard: bool | None = field("that sound is classified as that label: the method can produce anything here")
    gain: float = field(
        "what all sounds of the clip were multiplied by, so that none exceeds full scale; they were judged after it",
        share=True,
    )
    metrics: dict[str, float | None] = field("further figures, one a file of `explain/metrics`", share=True)
    sample_rate: int = field("of all audio", "Hz", array=True)
    frame_rate: float = field("latent frames a second", "1/s", array=True)
    attribution: np.ndarray = field("of every latent element for the target's logit", "logit, [t, d]", array=True)
    score: np.ndarray = field("what orders the elements; see `Settings.ranking`", "[t, d]", array=True)
    mask: np.ndarray = field("elements that the explanation keeps", "[t, d]", share=True, array=True)
    audio: np.ndarray = field("the explanation: what was kept, in sound", "[n] or [n, c]", share=True, array=True)
    residual: np.ndarray = field("what was not kept, in sound", "[n] or [n, c]", share=True, array=True)
    recording: np.ndarray = field("the clip as it was given", "[n] or [n, c]", array=True)
    reconstruction: np.ndarray = field("what the codec makes of the whole clip", "[n] or [n, c]", array=True)
    settings: Settings = field("how it was made", array=True)

    def __repr__(self) -> str:
        """The label, its probability, and the verdict."""
        return f"Explanation({self.prediction!r} {self.prediction_probability:.2f}: {self.verdict.headline})"

    @property
    def verdict(self) -> Verdict:
        """What to make of it, in words."""
        return verdict(judgement(self))


def columns(share: bool | None = None) -> Iterator[dataclasses.Field]:
    """The fields that are written to files as numbers or text.

    Args:
        share: only those that depend on the share of kept elements, or only the others; None for all.
    """
    for one in dataclasses.fields(Explanation):
        if not one.metadata["array"] and share in (None, one.metadata["share"]):
            yield one


def judgement(explanation: Explanation, share: bool | None = None) -> dict[str, Any]:
    """What the classifier says about a clip and its explanation, as a JSON object; tables hold the `TOP` labels.

    Args:
        explanation: of one clip.
        share: as in `columns`.
    """
    found = {}
    for one in columns(share):
        value = getattr(explanation, one.name)
        top = isinstance(value, dict) and one.name != "metrics"
        found[one.name] = dict(list(value.items())[:TOP]) if top else value
    return found
