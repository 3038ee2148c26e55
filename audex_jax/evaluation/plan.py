"""What to evaluate: methods, fillers, shares and seeds, and the list of edited clips that this comes to. No JAX."""

import dataclasses
from typing import NamedTuple

import numpy as np

from audex_jax.core import settings
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import RULES, Settings, option
from audex_jax.evaluation.arms import Arm, arm_names, arm_of

MODES = ("keep", "delete")
DRAWN_FILLERS = ("noise", "other")  # drawn again for each seed
FILLERS = (*settings.FILLERS, "other")
WHOLE = 0  # number of the edit that keeps everything
SILENCE = "silence"  # what input methods put where they take something out
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.625, 0.833)


class Row(NamedTuple):
    """One curve: a method with a filler, and the seed where one of them draws random numbers."""

    method: str
    filler: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one evaluation measures. Two plans are equal when they give the same figures.

    Attributes:
        methods: names of arms, see `arms.arm_of`; the first is the one that the others are compared with.
        fillers: of `FILLERS`. `zero`, `mean` and `noise` are their own baselines; the latent of another clip of another
            label, `other`, goes with the mean.
        levels: shares of the elements that are kept, or deleted, between 0 and 1; both ends are always added.
        seeds: draws of what is random: the method `random`, the noise, the other clip.
        rule, steps, mask_steps, budget: as in `Settings`.
    """

    methods: tuple[str, ...] = option(
        (Settings.ranking, "signed", "magnitude", "random"),
        "rankings, attribution methods, or METHOD:RANKING; the first is compared with the others",
        arm_names(),
    )
    fillers: tuple[str, ...] = option(("zero", "mean"), "what replaces elements that are taken out", FILLERS)
    levels: tuple[float, ...] = option(
        LEVELS, "shares to keep or take out; 0 and 1 are always added", metavar="X,Y,..."
    )
    seeds: int = option(5, "repetitions of random rankings", metavar="N")
    rule: str = option(Settings.rule, "quadrature rule of the path", RULES)
    steps: int | str = option(Settings.steps, "points on the path or samples, or 'auto'", metavar="N")
    mask_steps: int = option(Settings.mask_steps, "gradient steps of rankings that optimise a mask", metavar="N")
    budget: int = option(Settings.budget, "evaluations that methods without a gradient take", metavar="N")

    def __post_init__(self):
        for name in ("methods", "fillers"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise AudexError(f"{name} {', '.join(given) or '(none)'}: give at least one, and each only once")
        for filler in self.fillers:
            if filler not in FILLERS:
                raise AudexError(f"no filler {filler!r}; choose from {', '.join(FILLERS)}")
        for name in self.methods:
            arm_of(name)
        if not self.levels or sorted({0.0, 1.0, *self.levels}) != list(self.grid):
            raise AudexError(f"levels {self.levels} must rise between 0 and 1; both ends, 0 and 1, are always added")
        if self.seeds < 1:
            raise AudexError(f"seeds is {self.seeds}; it needs at least 1")
        _ = self.settings  # refuses a wrong rule, steps, mask_steps or budget

    @property
    def settings(self) -> Settings:
        """How every arm attributes; methods and rankings are put in arm by arm."""
        return Settings(rule=self.rule, steps=self.steps, mask_steps=self.mask_steps, budget=self.budget)

    @property
    def grid(self) -> tuple[float, ...]:
        """The levels with both ends."""
        return (0.0, *self.levels, 1.0)

    @property
    def arms(self) -> dict[str, Arm]:
        """Every arm by its name, in the order given."""
        return {name: arm_of(name) for name in self.methods}

    @property
    def latent_methods(self) -> tuple[str, ...]:
        return tuple(name for name, arm in self.arms.items() if arm.space == "latent")

    @property
    def input_methods(self) -> tuple[str, ...]:
        return tuple(name for name, arm in self.arms.items() if arm.space != "latent")

    @property
    def draws(self) -> tuple[tuple[str, int], ...]:
        """Every filler that is needed, with its seeds: those that are drawn once a seed."""
        return tuple((f, seed) for f in self.fillers for seed in range(self.seeds if f in DRAWN_FILLERS else 1))

    @property
    def rows(self) -> tuple[Row, ...]:
        """All curves: latent methods first, then input methods."""
        rows, arms = [], self.arms
        for name in self.latent_methods:
            for filler in self.fillers:
                random = arms[name].random or filler in DRAWN_FILLERS
                rows += [Row(name, filler, seed) for seed in range(self.seeds if random else 1)]
        for name in self.input_methods:
            rows += [Row(name, SILENCE, seed) for seed in range(self.seeds if arms[name].random else 1)]
        return tuple(rows)


class Edits(NamedTuple):
    """Edits of one clip, `[m]` each: number of the order and of the filler, level, and whether the top is deleted."""

    order: np.ndarray
    filler: np.ndarray
    level: np.ndarray
    delete: np.ndarray


class Layout(NamedTuple):
    """The edits of a clip's latent that a plan comes to, listed once each; the same for every clip.

    Attributes:
        orders: method, filler and seed of each order that is edited by; the seed is 0 for orders that are not random.
        edits: what is kept of which order, over which of `Plan.draws`.
        curves: numbers of the edits of each row, `[r, v, mode]`.
    """

    orders: tuple[tuple[str, str, int], ...]
    edits: Edits
    curves: np.ndarray


def lay_out(plan: Plan) -> Layout:
    """List the edits of all rows of latent methods.

    Deleting nothing is the clip, and keeping nothing is the filler, whatever the order. So are, up to frames that do
    not sound, keeping and deleting everything. Each is listed once.
    """
    known: dict[tuple, int] = {("clip",): WHOLE}
    edits, orders, arms = [(0, 0, 0.0, True)], {}, plan.arms

    def number(order: int, filler: int, level: float, delete: bool) -> int:
        kept = 1 - level if delete else level
        key = ("clip",) if kept == 1 else ("filler", filler) if kept == 0 else (order, filler, level, delete)
        if key not in known:
            known[key] = len(edits)
            edits.append((order, filler, level, delete))
        return known[key]

    curves = []
    for row in plan.rows:
        if row.method in plan.latent_methods:
            own = (row.method, row.filler, row.seed if arms[row.method].random else 0)
            order = orders.setdefault(own, len(orders))
            filler = plan.draws.index((row.filler, row.seed if row.filler in DRAWN_FILLERS else 0))
            curves.append([[number(order, filler, v, mode == "delete") for mode in MODES] for v in plan.grid])
    types = (np.int32, np.int32, np.float32, bool)
    columns = Edits(*(np.array(column, kind) for column, kind in zip(zip(*edits, strict=True), types, strict=True)))
    return Layout(tuple(orders), columns, np.array(curves, int).reshape(-1, len(plan.grid), len(MODES)))
