"""The classes of an explainer, and whether codec, classifier and labels are for one another."""

import dataclasses
from typing import Annotated, Any

from audex_jax.core.configs import Between, check
from audex_jax.core.errors import AudexError, listing
from audex_jax.core.protocols import Codec


@dataclasses.dataclass(frozen=True)
class Classes:
    """What an explainer is beside codec and classifier.

    Attributes:
        labels: names of the classes, in the order of the logits.
        clip_seconds: longest clip that is explained in one piece.
        bandwidth: of the codec's latents, in kilobits per second; None for continuous ones.
    """

    labels: tuple[str, ...]
    clip_seconds: Annotated[float, Between(1e-3, 600)]
    bandwidth: Annotated[float, Between(1e-3, 1e5)] | None = None

    def __post_init__(self):
        check(self)
        bad = [label for label in self.labels if not label or label != label.strip()]
        if bad or len(set(self.labels)) < len(self.labels):
            raise AudexError(f"labels are not {len(self.labels)} different ones without blanks around them")


def check_fit(codec: Codec, config: Any, classes: Classes) -> None:
    """Refuse a classifier's config that is for another codec, other labels, or shorter clips."""
    samples = round(classes.clip_seconds * codec.sample_rate)
    if samples < 1:
        raise AudexError(f"clip_seconds is {classes.clip_seconds:g}, less than one sample")
    wanted = {"dim": codec.dim, "classes": len(classes.labels), "sample_rate": codec.sample_rate}
    faults = [
        f"{name} of the classifier is {getattr(config, name)}, codec and labels have {value}"
        for name, value in wanted.items()
        if getattr(config, name, value) != value
    ]
    frames = codec.frames(samples)
    if getattr(config, "frames", frames) < frames:
        faults.append(f"frames of the classifier is {config.frames}, a clip has {frames}")
    if faults:
        raise AudexError(listing(faults))
