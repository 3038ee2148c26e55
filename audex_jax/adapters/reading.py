"""What a classifier's output means: from what it returns to the logits that are explained.

    logits                      of labels of which one is right
    probabilities               of such labels; their logarithms are explained
    independent-logits          of labels that may be there or not, each by itself: a detector, a tagger
    independent-probabilities   likewise

Of independent labels one is explained, against its absence. Outputs may have one row a frame, `[t, k]`: logits are then
averaged over the frames of a time range.
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp

from audex_jax.adapters.source import OUTPUTS
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array, Float

LEAST = 1e-7  # probabilities are taken to be this far from 0 and 1


@dataclasses.dataclass(frozen=True)
class Reading:
    """How outputs are read; static.

    Attributes:
        output: one of `OUTPUTS`.
        label: number of the independent label that is explained.
        between: begin and end in seconds, of outputs by frame; None for the whole clip.
    """

    output: str = "logits"
    label: int = 0
    between: tuple[float, float] | None = None

    def __call__(self, raw: Array, length: Array, samples: int | Array, rate: int) -> Float[Array, " k"]:
        """Logits `[k]` of an output `[k]`, or `[t, k]` by frame, of `length` samples padded to `samples`."""
        logits = raw
        if self.output.endswith("probabilities"):
            inside = jnp.clip(raw, LEAST, 1 - LEAST)
            logits = jnp.log(inside)
            if self.independent:
                logits = logits - jnp.log1p(-inside)
        if raw.ndim == 2:
            centre = (jnp.arange(len(raw)) + 0.5) * (samples / len(raw))
            begin, end = self.between or (0.0, samples / rate)
            counted = (centre < length) & (centre >= begin * rate) & (centre < end * rate)
            off = jnp.abs(centre - (begin + jnp.minimum(end, length / rate)) / 2 * rate)
            counted |= ~counted.any() & (off == off.min())  # frames may be longer than the range: the nearest one
            logits = (logits * counted[:, None]).sum(0) / jnp.maximum(counted.sum(), 1)
        if self.independent:
            return jnp.stack([logits[self.label], jnp.zeros_like(logits[0])])
        return logits

    @property
    def independent(self) -> bool:
        """Whether labels do not exclude one another."""
        return self.output.startswith("independent")


def reading_of(
    labels: Sequence[str], output: str, label: str | None, between: tuple[float, float] | None
) -> tuple[Reading, tuple[str, ...]]:
    """How to read outputs, and the labels of the logits that this gives.

    Args:
        labels: names of the outputs.
        output: one of `OUTPUTS`.
        label: which of several independent labels is explained.
        between: as in `Reading`.

    Raises:
        AudexError: no such output or label, or no label where one has to be chosen.
    """
    labels = list(labels)
    if output not in OUTPUTS:
        raise AudexError(f"no output {output!r}; choose one of {', '.join(OUTPUTS)}")
    if not labels or len(set(labels)) != len(labels) or not all(isinstance(name, str) and name for name in labels):
        raise AudexError("labels have to be different names, one for each output of the classifier, in its order")
    if not output.startswith("independent"):
        if len(labels) < 2:
            raise AudexError(
                "one label of which one is right decides nothing; a detector's output is independent-logits"
            )
        return Reading(output, 0, between), tuple(labels)
    if label is None and len(labels) > 1:
        raise AudexError(f"independent labels are explained one by one; choose the label: {', '.join(labels[:20])}")
    label = labels[0] if label is None else label
    if label not in labels:
        raise AudexError(f"the classifier has no label {label!r}; it knows {', '.join(labels[:20])}")
    return Reading(output, labels.index(label), between), (label, f"not {label}")
