"""What a study asks: methods, numbers of clips and listeners, the question. No JAX in here."""

import dataclasses

from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings, option
from audex_jax.evaluation.arms import arm_names, arm_of
from audex_jax.study.design import round_of

MOST_CLIPS, MOST_LISTENERS = 1000, 10_000  # a page and a key hold every listener's sheet
RECONSTRUCTION = "reconstruction"  # everything kept: a hidden reference, the most that listeners can understand
SHORT = {"ig": "weighted", "input-ig": "waveform-ig"}  # Integrated Gradients in the latent, and the paper's other arm


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """What listeners are asked.

    Attributes:
        methods: names of arms (`evaluation.arms.arm_of`), `RECONSTRUCTION`, or short for one (`SHORT`); the first is
            compared with the others.
        clips: recordings, at most.
        listeners: people, at least; more are planned where that makes the study balanced.
        keep: share that every method keeps.
        question: asked of each sound that is to be named.
        seed: of all that is random.
    """

    methods: tuple[str, ...] = option(
        (Settings.ranking, "random", "input-ig"),
        "rankings, attribution methods, or METHOD:RANKING; the first is compared with the others",
        (*SHORT, RECONSTRUCTION, *arm_names()),
    )
    clips: int = option(24, "largest number of recordings", metavar="N")
    listeners: int = option(12, "smallest number of listeners", metavar="N")
    keep: float = option(0.2, "share of the latent elements that every method keeps", metavar="SHARE")
    question: str = option("Which word do you hear?", "question that is asked about each sound")
    seed: int = option(0, "random seed", metavar="N")

    def __post_init__(self):
        if not self.methods:
            raise AudexError("no methods given; name at least one")
        for name in self.full_methods:
            if name != RECONSTRUCTION:
                arm_of(name)
        if len(set(self.full_methods)) < len(self.methods):
            raise AudexError(f"methods {', '.join(self.methods)}: two of them are the same")
        if not (1 <= self.clips <= MOST_CLIPS and 1 <= self.listeners <= MOST_LISTENERS):
            raise AudexError(
                f"{self.clips} clips and {self.listeners} listeners; give 1 to {MOST_CLIPS} clips and 1 to "
                f"{MOST_LISTENERS} listeners"
            )
        if not 0 < self.keep <= 1:
            raise AudexError(f"keep is {self.keep}; it is a share of the elements, above 0 and up to 1")
        if self.seed < 0:
            raise AudexError(f"seed is {self.seed}; give 0 or more")

    @property
    def full_methods(self) -> tuple[str, ...]:
        """The methods' full names."""
        return tuple(SHORT.get(name, name) for name in self.methods)

    @property
    def planned_listeners(self) -> int:
        """The listeners, rounded up to full rounds, after which everything was heard equally often."""
        whole = round_of(len(self.methods))
        return -(-self.listeners // whole) * whole
