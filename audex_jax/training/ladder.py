"""A ladder of classifiers, from one with few weights to the published one: the lowest validation loss wins."""

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from audex_jax.classifiers.linear import LinearProbe
from audex_jax.core.registry import CLASSIFIERS
from audex_jax.training.classifier import logits_of, losses_of, train_classifier
from audex_jax.training.inputs import Inputs
from audex_jax.training.linear import PENALTIES, fit_linear
from audex_jax.training.recipes import ClassifierRecipe

LADDER = ("linear", "small-transformer", "transformer")
LEAST = {"transformer": 1000}  # training clips from which a family is tried: it has 1.6 million weights

Report = Callable[[str, int, int, str, dict[str, float]], None]


class Rung(NamedTuple):
    """What became of one family.

    Attributes:
        family: its name.
        classifier: None if it was not tried.
        loss, accuracy: in validation; of clips as they are and after a round trip through the codec.
        losses: those whose mean is the loss, `[clips]`.
        why: it was not tried.
    """

    family: str
    classifier: Any = None
    loss: float = math.inf
    accuracy: float = 0.0
    why: str = ""
    losses: np.ndarray = np.zeros(0)

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        if self.classifier is None:
            return {"family": self.family, "not_tried": self.why}
        return {"family": self.family, "validation_loss": self.loss, "validation_accuracy": self.accuracy}


def climb(
    families: Sequence[str],
    config: Callable[[Any], Any],
    recipe: ClassifierRecipe,
    train: Inputs,
    val: Inputs,
    directory: pathlib.Path,
    report: Report = lambda family, done, total, note, figures: None,
    start: Any = None,
) -> list[Rung]:
    """Train one family after the other, until one has not a lower validation loss than the one before.

    Args:
        families: names of `CLASSIFIERS`, the smallest first; a single one is trained in any case.
        config: of a class of classifiers.
        recipe: the trainings' settings.
        train: in every variant.
        val: in one variant.
        directory: where training states are kept, that of a single family there, else in a folder for each.
        report: called with the family, what is done of how much, a note, and figures to log.
        start: classifier to go on from, with a single family.

    Returns:
        A rung for each family, in their order.
    """
    rungs: list[Rung] = []
    for name in families:
        least, worse = LEAST.get(name, 0), len(rungs) > 1 and rungs[-1].loss >= rungs[-2].loss
        if len(families) > 1 and (len(train.labels) < least or worse):
            few = f"it takes {least} training clips or more"
            rungs.append(Rung(name, why=f"{rungs[-1].family} is not better than {rungs[-2].family}" if worse else few))
            continue
        kind, place = CLASSIFIERS[name], directory / name if len(families) > 1 else directory
        fitted = recipe.fitted(len(train.labels))
        assert fitted.epochs is not None

        def epoch(done: int, loss: float, validation: float, accuracy: float, name=name, total=fitted.epochs) -> None:
            figures = {"train/loss": loss, "validation/loss": validation, "validation/accuracy": accuracy}
            report(name, done, total, f"validation loss {validation:.3f}, accuracy {accuracy:.3f}", figures)

        def penalty(done: int, name=name) -> None:
            report(name, done, len(PENALTIES), "", {})

        if kind is LinearProbe and start is None:
            classifier = fit_linear(config(kind), fitted, train, val, penalty)
        else:
            classifier = train_classifier(kind, config(kind), fitted, train, val, place, epoch, start=start)
        logits = logits_of(classifier, val)
        right = float((logits.argmax(-1) == val.labels).mean())
        losses = losses_of(logits, val.labels)
        rungs.append(Rung(name, classifier, float(losses.mean()), right, losses=losses))
    return rungs


def best(rungs: Sequence[Rung]) -> Rung:
    """The rung with the lowest validation loss; of two the smaller one, unless the larger is better by more than the
    standard error of the difference of their losses, clip by clip."""
    chosen, *others = (rung for rung in rungs if rung.classifier is not None)
    for rung in others:
        gain = chosen.losses - rung.losses
        if gain.mean() > gain.std(ddof=1) / math.sqrt(len(gain)):
            chosen = rung
    return chosen
