"""How to explain: names and numbers only, so that the command line can offer them without waiting for JAX."""

import dataclasses
from typing import Literal

from audex_jax.core.errors import AudexError

RANKING_NAMES = ("signed", "absolute", "weighted", "magnitude", "positive", "frames", "mixed")  # of `explanation`
REFINED, REFINED_FROM = "refined", "weighted"  # the ranking that `refinement` makes, and where it starts
FILLERS = ("zero", "mean", "noise")
PRECISIONS = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to explain. Static: each distinct value compiles its own program.

    Attributes:
        keep: share of the latent elements that the explanation keeps, 0 to 1.
        ranking: one of `explanation.RANKINGS`, or `refined`: corrected by what the masks leave; see `refinement`.
        filler: what stands where an element was taken out: `zero`, `mean` (of the training set) or `noise` (the
            latent of white noise, as published).
        rule, steps, chunk: quadrature rule, number of points ("auto": as many as the ranking needs) and points at
            once; see `integrated_gradients`.
        seed: of the noise.
        refinement: gradient steps of the ranking `refined`.
        precision: of the products in the path's gradients, `float32` or `bfloat16`: faster where the processor has
            units for it, and ranked almost the same. What is heard is judged in float32 in any case.
    """

    keep: float = 0.2
    ranking: str = REFINED
    filler: str = "zero"
    rule: str = "graded-middle"
    steps: int | Literal["auto"] = 24
    chunk: int = 8
    seed: int = 0
    refinement: int = 4
    precision: str = "float32"

    def __post_init__(self):
        if not 0 <= self.keep <= 1:
            raise AudexError(f"keep is {self.keep}; it is a share of the elements, from 0 to 1")
        for name, allowed in (("ranking", (*RANKING_NAMES, REFINED)), ("filler", FILLERS), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise AudexError(f"no {name} {getattr(self, name)!r}; choose one of {', '.join(allowed)}")
        if self.chunk < 1 or (self.steps != "auto" and (isinstance(self.steps, str) or self.steps < 1)):
            raise AudexError(f"steps is {self.steps} and chunk {self.chunk}; give at least 1, or steps 'auto'")
        if self.refinement < 0:
            raise AudexError(f"refinement is {self.refinement}; it needs at least 0 steps")
