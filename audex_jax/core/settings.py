"""How to explain: names and numbers only, so that the command line can offer them without waiting for JAX."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from audex_jax.core.errors import AudexError
from audex_jax.core.registry import METHODS, RANKINGS, Registry

FILLERS = ("zero", "mean", "noise")
MATCHED = "matched-mask"  # the default ranking
AMORTISED, ONE_GRADIENT = "amortised", "gradient-x-input"  # the ranking by a network; the default method beside it
ADVERSARIAL = "adversarial-mask"  # the ranking that attacks the classifier; offered for comparison only
WITHOUT_GRADIENT, EVOLVED = "masked-regression", "evolved-mask"  # the defaults where there is no gradient
PRECISIONS = ("float32", "bfloat16")
RULES = (
    "graded-middle", "riemann-middle", "riemann-trapezoid", "riemann-left", "riemann-right", "gauss-legendre",
    "clenshaw-curtis",
)  # fmt: skip


def option(default: Any, meaning: str, choices: Any = None, metavar: str | None = None) -> Any:
    """A field of a dataclass that the command line offers as an option; `cli.options` makes it from this.

    Args:
        default: value of the field.
        meaning: one clause for `--help`.
        choices: names, or a `Registry` of names, that the field accepts.
        metavar: what stands for the value in `--help`.
    """
    return dataclasses.field(default=default, metadata={"help": meaning, "choices": choices, "metavar": metavar})


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to explain. Static: each distinct value compiles its own program.

    Attributes:
        keep: share that the explanation keeps of the latent elements of frames that sound, 0 to 1.
        method: attribution method, a file of `attribution/methods`.
        ranking: what orders the elements, a file of `masking/rankings`.
        filler: what stands where an element was taken out: `zero`, `mean` (of the training set) or `noise` (the
            latent of white noise, as published).
        rule, steps, chunk: quadrature rule, number of points ("auto": as many as the ranking needs) and points at
            once; see `integrated_gradients`. For methods without a path `steps` is the number of samples.
        seed: of everything random.
        mask_steps: gradient steps of rankings that optimise a mask.
        budget: evaluations of the classifier that methods without a gradient take.
        forced: rankings that match the clip maximise the target instead. A control, not an explanation: what becomes
            of a wrong target then bounds what the matching holds back.
        precision: of the products in the path's gradients, `float32` or `bfloat16`: faster where the processor has
            units for it, and ranked almost the same. Re-encoded sounds are classified in float32 in any case.
    """

    keep: float = option(0.2, "share of the latent elements of frames that sound to keep", metavar="SHARE")
    method: str = option("integrated-gradients", "attribution method", METHODS)
    ranking: str = option(MATCHED, "what orders the elements", RANKINGS)
    filler: str = option("zero", "what replaces elements that are taken out", FILLERS)
    rule: str = option("graded-middle", "quadrature rule of the path", RULES)
    steps: int | str = option(24, "points on the path or samples; 'auto' for as many as the ranking needs", metavar="N")
    chunk: int = option(8, "points of the path in one batch", metavar="N")
    seed: int = option(0, "random seed", metavar="N")
    mask_steps: int = option(4, "gradient steps of rankings that optimise a mask", metavar="N")
    budget: int = option(256, "calls of the classifier that methods without a gradient make", metavar="N")
    forced: bool = False
    precision: str = option("float32", "of the products in the path's gradients", PRECISIONS)

    def __post_init__(self):
        check_choices(self)
        if not 0 <= self.keep <= 1:
            raise AudexError(f"keep is {self.keep}; it is a share of the elements, from 0 to 1")
        if self.chunk < 1 or (self.steps != "auto" and (isinstance(self.steps, str) or self.steps < 1)):
            raise AudexError(f"steps is {self.steps} and chunk {self.chunk}; give at least 1, or steps 'auto'")
        if self.mask_steps < 0 or self.budget < 1:
            raise AudexError(f"mask_steps is {self.mask_steps} and budget {self.budget}; give at least 0 and 1")


def settings_from(given: Mapping[str, Any]) -> Settings:
    """Settings out of their names and values.

    Raises:
        AudexError: there is no setting of a name; says which one may be meant.

    Example:
        >>> settings_from({"steps": 8}).steps
        8
        >>> settings_from({"step": 8})
        Traceback (most recent call last):
        audex_jax.core.errors.AudexError: no setting 'step'; did you mean 'steps'?
    """
    names = [field.name for field in dataclasses.fields(Settings)]
    for name in given:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            meant = f"did you mean {close[0]!r}?" if close else f"settings are {', '.join(names)}"
            raise AudexError(f"no setting {name!r}; {meant}")
    return Settings(**given)


def without_gradient(settings: Settings) -> Settings:
    """The settings, with the defaults for classifiers that give no gradient where they stand at the other defaults."""
    method = WITHOUT_GRADIENT if settings.method == Settings.method else settings.method
    ranking = EVOLVED if settings.ranking == Settings.ranking else settings.ranking
    return dataclasses.replace(settings, method=method, ranking=ranking)


def without_path(settings: Settings) -> Settings:
    """The settings, with a single gradient for the attribution, which the ranking does not need, unless told else."""
    method = ONE_GRADIENT if settings.method == Settings.method else settings.method
    return dataclasses.replace(settings, method=method)


def check_choices(fields: Any) -> None:
    """Refuse a dataclass of which a field is not one of its choices.

    Raises:
        AudexError: names the field, its value, and the choices.
    """
    for field in dataclasses.fields(fields):
        choices, value = field.metadata.get("choices"), getattr(fields, field.name)
        if isinstance(choices, Registry):
            choices.check(value)
        elif choices is not None and value not in choices:
            raise AudexError(f"no {field.name} {value!r}; choose one of {', '.join(choices)}")
