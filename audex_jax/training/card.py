"""What a training says of its classifier: figures of the test split, warnings, and the bundle's card."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from audex_jax.data.folder import LabelledFolder
from audex_jax.data.listing import SPLITS

ERRS, DIFFERS = 0.9, 0.8  # accuracy, and agreement with the codec's reconstruction, below which a model is warned of


def figures(labels: np.ndarray, original: np.ndarray, decoded: np.ndarray, classes: int) -> dict[str, Any]:
    """How often predictions of the recordings and of their reconstructions are right, `[clips]` each.

    `interval` holds the accuracy with a probability of 95 % (Wilson); `chance` is the share of the most frequent label.
    """
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, original), 1)
    right = int((original == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    return {
        "clips": len(original),
        "accuracy": right / len(labels),
        "interval": [float(interval.low), float(interval.high)],
        "chance": float(confusion.sum(1).max() / len(labels)),
        "accuracy_on_reconstruction": float((decoded == labels).mean()),
        "agreement_on_reconstruction": float((decoded == original).mean()),
        "confusion": confusion.tolist(),
    }


def table_of(folder: LabelledFolder) -> list[list[str]]:
    """Clips by label and split, with a line of heads and one of sums."""
    counts = Counter((clip.label, clip.split) for clip in folder.clips)
    rows = [[label, *(str(counts[label, split]) for split in SPLITS)] for label in folder.labels]
    return [["label", *SPLITS], *rows, ["all", *(str(len(folder.split(split))) for split in SPLITS)]]


def missing(folder: LabelledFolder) -> list[str]:
    """A warning for each split that lacks clips of some labels."""
    found = []
    for split in SPLITS:
        lacking = sorted(set(folder.labels) - {clip.label for clip in folder.split(split)})
        if lacking:
            names = ", ".join(lacking[:8]) + (f" and {len(lacking) - 8} more" if len(lacking) > 8 else "")
            found.append(f"The {split} split has no clips of {names}.")
    return found


def at_chance(test: dict[str, Any]) -> list[str]:
    """A warning if the accuracy cannot be told from chance, with 95 % probability."""
    if test["interval"][0] > test["chance"]:
        return []
    return [
        f"The classifier is not better than chance: accuracy {test['accuracy']:.2f} on {test['clips']} test clips "
        f"(95 % interval {test['interval'][0]:.2f} to {test['interval'][1]:.2f}), chance {test['chance']:.2f}. "
        "Add recordings before you explain it."
    ]


def doubts(test: dict[str, Any]) -> list[str]:
    """Warnings of a classifier that is better than chance, but not good."""
    found = []
    if test["accuracy"] < ERRS and not at_chance(test):
        found.append(f"The classifier is wrong on {1 - test['accuracy']:.0%} of {test['clips']} test clips.")
    if test["agreement_on_reconstruction"] < DIFFERS:
        found.append(
            f"The codec changes the decision on {1 - test['agreement_on_reconstruction']:.0%} of the test clips; these "
            "cannot be explained in sound."
        )
    return found


def card(name: str, labels: Sequence[str], origin: dict[str, Any], family: str, warnings: Sequence[str]) -> str:
    """The card of a trained bundle, in Markdown."""
    test, lines = origin["test"], [f"# {name}", ""]
    lines += [f"> **Warning.** {warning}" for warning in warnings] + [""] * bool(warnings)
    lines += [
        f"A classifier (`{family}`) of {len(labels)} labels: {', '.join(labels)}. Made by `audex train`.",
        "",
        "| test split | |",
        "|---|---|",
        f"| clips | {test['clips']}; split by {origin['split_by']} |",
        "| accuracy | {accuracy:.3f}, 95 % interval {interval[0]:.3f} to {interval[1]:.3f} |".format(**test),
        f"| chance | {test['chance']:.3f} |",
        f"| accuracy on the codec's reconstruction | {test['accuracy_on_reconstruction']:.3f} |",
        f"| same decision on both | {test['agreement_on_reconstruction']:.3f} |",
        "",
        "`bundle.json` has the recipe, the clips by split, the confusion matrix, and the classifiers compared.",
    ]
    return "\n".join(lines) + "\n"
