"""What a batch job is asked to do. Imports no JAX: the command line offers it at once."""

import dataclasses
import os

from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings, check_choices, option

CONTROL = 0.05  # share of clips that get a control, unless asked otherwise


@dataclasses.dataclass(frozen=True)
class Job:
    """How to explain the clips of a manifest.

    Attributes:
        settings, target: as in `Explainer.explain`.
        shard_clips: clips a shard; what a kill can cost, and what one part holds.
        elements, attribution, audio: which optional columns to write; see `result_schema`.
        batch: clips a device takes at once.
        parallel: see `map_over_devices`.
        control: share of the clips that get a wrong-target control, see `explain.control`; drawn by their content.
        workers: threads; 0 for one a core.
        retry_rejects: do shards with rejects again.
    """

    settings: Settings = dataclasses.field(default_factory=Settings)
    target: str | None = option(None, "label to explain (default: the predicted one)", metavar="LABEL")
    shard_clips: int = option(256, "recordings in one Parquet part", metavar="N")
    elements: int = option(32, "top elements stored for each segment", metavar="N")
    attribution: bool = option(False, "also write the whole attribution, in float16")
    audio: bool = option(True, "write the explanation's audio (default: yes)")
    batch: int = option(8, "clips of one batch on one device", metavar="N")
    parallel: str = option("auto", "how a batch is mapped over devices", ("auto", "pmap", "shard_map"))
    control: float = option(
        CONTROL, "share of recordings for which the same method is asked for a label that is not there", metavar="SHARE"
    )
    workers: int = option(0, "threads that read recordings; 0: one for each core", metavar="N")
    retry_rejects: bool = option(False, "explain parts that have rejected recordings again")

    def __post_init__(self):
        check_choices(self)
        for name, least in (("shard_clips", 1), ("batch", 1), ("elements", 0), ("workers", 0)):
            if getattr(self, name) < least:
                raise AudexError(f"{name} is {getattr(self, name)}; it needs to be at least {least}")

        if not 0 <= self.control <= 1:
            raise AudexError(f"control is {self.control}; it is a share of the recordings, from 0 to 1")

    @property
    def threads(self) -> int:
        """Threads that read and decode, and as many that write FLAC."""
        return self.workers or os.cpu_count() or 1
