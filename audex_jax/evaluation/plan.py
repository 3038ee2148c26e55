"""What to evaluate: methods, fillers, shares and seeds, and the list of edited clips that this comes to."""

import dataclasses

import numpy as np

from audex_jax.core import registry
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import RULES, Settings, option

MODES = ("keep", "delete")
DOMAINS = ("latent", "audio")
LATENT_METHODS = (*registry.RANKINGS.names(), "gradient-x-input", "random")
INPUT_METHODS = ("waveform-ig", "spectrum-ig", "audio-frames", "waveform-random", "spectrum-random")
METHODS = LATENT_METHODS + INPUT_METHODS
FILLERS = ("zero", "mean", "noise", "other")
SILENCE = "silence"  # what input methods put where they take something out
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.625, 0.833)


@dataclasses.dataclass(frozen=True)
class Row:
    """One curve: a method with a filler, and the seed where one of them draws random numbers."""

    method: str
    filler: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one evaluation measures. Two plans are equal when they give the same figures.

    Attributes:
        methods: of `METHODS`; the first is the one that the others are compared with.
        method: attribution method that the rankings order by.
        fillers: of `FILLERS`. `zero`, `mean` and `noise` are their own baselines; the latent of another clip of another
            label, `other`, goes with the mean.
        levels: shares of the elements that are kept, or deleted, between 0 and 1; both ends are always added.
        seeds: draws of what is random: the `random` methods, the noise, the other clip.
        rule, steps: quadrature rule and number of points on the path of Integrated Gradients.
        refinement: gradient steps of the method `optimized-mask`.
    """

    methods: tuple[str, ...] = option(
        ("optimized-mask", "signed", "magnitude", "random"),
        "the first is compared with the others",
        METHODS,
    )
    method: str = option(Settings.method, "attribution method of the rankings", registry.METHODS)
    fillers: tuple[str, ...] = option(("zero", "mean"), "what stands where elements are taken out", FILLERS)
    levels: tuple[float, ...] = option(
        LEVELS, "shares to keep or take out; 0 and 1 are always added", metavar="X,Y,..."
    )
    seeds: int = option(5, "draws of what is random", metavar="N")
    rule: str = option("graded-middle", "quadrature rule of the path", RULES)
    steps: int = option(24, "points on the path", metavar="N")
    refinement: int = option(4, "gradient steps of `optimized-mask`", metavar="N")

    def __post_init__(self):
        for name, known in (("methods", METHODS), ("fillers", FILLERS)):
            given = getattr(self, name)
            wrong = [one for one in given if one not in known]
            if wrong or not given:
                raise AudexError(f"no {name} {', '.join(wrong) or 'given'}; choose from {', '.join(known)}")
            if len(set(given)) < len(given):
                raise AudexError(f"{name} {', '.join(given)}: each may be named once")
        if not self.levels or sorted(set(self.levels)) != list(self.levels) or not 0 < min(self.levels) < 1:
            raise AudexError(f"levels {self.levels} must be shares between 0 and 1, rising")
        if not max(self.levels) < 1:
            raise AudexError(f"levels {self.levels}: leave out 1; both ends, 0 and 1, are always added")
        registry.METHODS.check(self.method)
        for name in ("seeds", "steps"):
            if getattr(self, name) < 1:
                raise AudexError(f"{name} is {getattr(self, name)}; it needs at least 1")
        if self.rule not in RULES:
            raise AudexError(f"no rule {self.rule!r}; choose one of {', '.join(RULES)}")
        if self.refinement < 0:
            raise AudexError(f"refinement is {self.refinement}; it needs at least 0 steps")

    @property
    def grid(self) -> tuple[float, ...]:
        """The levels with both ends."""
        return (0.0, *self.levels, 1.0)

    @property
    def latent_methods(self) -> tuple[str, ...]:
        return tuple(method for method in self.methods if method in LATENT_METHODS)

    @property
    def input_methods(self) -> tuple[str, ...]:
        return tuple(method for method in self.methods if method in INPUT_METHODS)

    @property
    def draws(self) -> tuple[tuple[str, int], ...]:
        """Every filler that is needed, with its seeds: the random ones once a seed."""
        return tuple((f, s) for f in self.fillers for s in range(self.seeds if f in ("noise", "other") else 1))

    @property
    def rows(self) -> tuple[Row, ...]:
        """All curves: latent methods first, then input methods."""
        rows = []
        for method in self.latent_methods:
            for filler in self.fillers:
                random = method == "random" or filler in ("noise", "other")
                rows += [Row(method, filler, seed) for seed in range(self.seeds if random else 1)]
        for method in self.input_methods:
            rows += [Row(method, SILENCE, seed) for seed in range(self.seeds if method.endswith("random") else 1)]
        return tuple(rows)


class Variants:
    """Edited clips to judge, listed once each: what is kept of which order, over which filler.

    Keeping nothing is the filler and keeping everything is the clip, whatever the order; these are judged once for all
    rows that share them.
    """

    def __init__(self):
        self.order: list[int] = []
        self.filler: list[int] = []
        self.level: list[float] = []
        self.delete: list[bool] = []
        self._known: dict[tuple, int] = {}

    def add(self, order: int, filler: int, level: float, delete: bool) -> int:
        """Number of the variant in the list."""
        kept = 1 - level if delete else level
        key = ("clip",) if kept == 1 else ("filler", filler) if kept == 0 else (order, filler, level, delete)
        if key not in self._known:
            self._known[key] = len(self.order)
            self.order.append(order)
            self.filler.append(filler)
            self.level.append(level)
            self.delete.append(delete)
        return self._known[key]

    def add_curves(self, order: int, filler: int, grid: tuple[float, ...]) -> np.ndarray:
        """Numbers of one row's variants, `[levels, modes]`."""
        return np.array([[self.add(order, filler, v, mode == "delete") for mode in MODES] for v in grid])

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.array(self.order, np.int32),
            np.array(self.filler, np.int32),
            np.array(self.level, np.float32),
            np.array(self.delete, bool),
        )
