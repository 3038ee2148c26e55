"""What classifiers are trained to tell apart, and what they read of it."""

import dataclasses
import pathlib
from typing import Any

from audex_jax.core.protocols import Codec
from audex_jax.data.folder import LabelledFolder
from audex_jax.training.inputs import Inputs, cached_inputs


@dataclasses.dataclass(frozen=True)
class Task:
    """A labelled folder through a codec. Inputs are made once, for all classifiers that are trained on it.

    Attributes:
        codec: frozen.
        folder: recordings.
        clip_seconds: length that they are cut or padded to.
        scratch: where inputs are kept.
        kinds: what the classifiers read, of `variants.KINDS`; made in one pass.
        variants: times that each training clip is made.
        seed: of the variants.
        quiet: show no progress.
    """

    codec: Codec
    folder: LabelledFolder
    clip_seconds: float
    scratch: pathlib.Path
    kinds: tuple[str, ...]
    variants: int
    seed: int
    quiet: bool = False

    @property
    def samples(self) -> int:
        """Length of a clip in samples."""
        return round(self.clip_seconds * self.codec.sample_rate)

    def config(self, family: Any, **shape: Any) -> Any:
        """The config of a classifier for this task.

        Args:
            family: its class.
            shape: further fields; those that the config does not have, and None, are left out.

        Raises:
            AudexError: the config needs what is not known here, or refuses a value.
        """
        known = {
            "dim": self.codec.dim,
            "classes": len(self.folder.labels),
            "frames": self.codec.frames(self.samples),
            "sample_rate": self.codec.sample_rate,
        }
        wanted = {field.name for field in dataclasses.fields(family.config_class)}
        given = {name: value for name, value in (known | shape).items() if name in wanted and value is not None}
        return family.config_class.from_dict(given)

    def inputs(self, split: str, kind: str, variants: int | None = None) -> Inputs:
        """Inputs of one kind of a split, in so many variants; None for those of training.

        Raises:
            AudioError: a recording that cannot be read.
        """
        count = self.variants if variants is None else variants
        kinds = tuple(dict.fromkeys((kind, *self.kinds))) if kind in self.kinds else (kind,)
        clips, labels = self.folder.split(split), self.folder.labels
        place = (self.scratch, split, kinds, self.quiet)
        return cached_inputs(self.codec, clips, labels, self.clip_seconds, range(count), self.seed, *place)

    def plain_latents(self) -> Inputs:
        """Latents of the training clips as they are, whatever the classifiers read."""
        return self.inputs("train", "latent", None if "latent" in self.kinds else 1).variant(0)
