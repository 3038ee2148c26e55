"""Strangers on disk, and the figures of what they say."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from audex_jax.bundles import BundleError, bundle_path, load_explainer
from audex_jax.evaluation.statistics import Interval, all_or_none, bootstrap, bracket
from audex_jax.evaluation.transfer import Transfer
from audex_jax.explain.explainer import Explainer

REFERENCE = "magnitude"  # the loudest elements, blind to every classifier: what others are compared with
MEAN = "mean"  # name of the mean over strangers


def open_strangers(places: Sequence[str | os.PathLike]) -> dict[str, Explainer]:
    """Strangers by name: each place is a bundle, or a folder that holds bundles.

    Raises:
        BundleError: there is none, or one cannot be loaded.
    """
    found: list[pathlib.Path] = []
    for place in map(bundle_path, places):
        inside = [place] if (place / "bundle.json").exists() else sorted(p.parent for p in place.glob("*/bundle.json"))
        if not inside:
            raise BundleError(f"{place}: no explainer bundle, and none in it; make some with audex train --strangers")
        found += inside
    names = [path.name for path in found]
    return {path.name if names.count(path.name) == 1 else str(path): load_explainer(path) for path in found}


def summarise_strangers(found: Transfer) -> dict[str, Any]:
    """The figures of each stranger and of their mean, as plain numbers that JSON can hold.

    Keys: `filler`; `resampled`, what intervals draw: `speakers` where all are known, else `clips`; `against`, the
    method that others are compared with, None where it was not asked for; `accuracy` of each stranger on the plain
    reconstruction; `figures`, one for each stranger, method and share: `keep` and `delete` with their intervals, and
    `keep_difference` and `delete_difference` from the compared method on the same clips.
    """
    speakers = all_or_none(found.speakers)
    own = np.stack([found.kept, found.lost], -1).astype(float)
    values = np.concatenate([own, own.mean(1, keepdims=True)], 1)  # c, strangers and their mean, m, v, mode
    shares, differences = bootstrap(values, speakers), None
    if REFERENCE in found.methods:
        reference = found.methods.index(REFERENCE)
        differences = bootstrap(values - values[:, :, [reference]], speakers)
    right = found.reconstructed == found.label[:, None]
    figures = []
    for s, m, v in np.ndindex(values.shape[1:4]):
        name, method = (*found.strangers, MEAN)[s], found.methods[m]
        figure = {"stranger": name, "method": method, "share": found.shares[v]}
        figure |= {mode: _plain(shares, (s, m, v, i)) for i, mode in enumerate(("keep", "delete"))}
        if differences is not None and method != REFERENCE:
            for i, mode in enumerate(("keep", "delete")):
                figure[f"{mode}_difference"] = _plain(differences, (s, m, v, i))
        figures.append(figure)
    return {
        "filler": found.filler,
        "clips": len(found.label),
        "resampled": "clips" if speakers is None else "speakers",
        "against": None if differences is None else REFERENCE,
        "accuracy": dict(zip(found.strangers, right.mean(0).tolist(), strict=True)),
        "figures": figures,
    }


def strangers_rows(summary: dict[str, Any], share: float) -> list[list[str]]:
    """The table at one share: a line for each stranger and method, and for the mean over strangers."""
    return [
        [f["stranger"], f["method"]]
        + [
            text
            for mode in ("keep", "delete")
            for text in (f"{f[mode]['mean']:.3f}", _signed(f.get(f"{mode}_difference")))
        ]
        for f in summary["figures"]
        if f["share"] == share
    ]


def strangers_header(summary: dict[str, Any]) -> list[str]:
    """The heads of the columns of `strangers_rows`."""
    against = f"from {summary['against']}" if summary["against"] else ""
    return ["stranger", "method", "keep", against, "delete", against]


def _signed(interval: dict[str, float] | None) -> str:
    if interval is None:
        return ""
    return f"{interval['mean']:+.3f}{bracket(interval['low'], interval['high'], '+.3f')}"


def _plain(interval: Interval, index: tuple[int, ...]) -> dict[str, float]:
    return {name: float(getattr(interval, name)[index]) for name in ("mean", "low", "high")}
