"""Are the results of the two sides of `pipeline` the same? Nothing is timed before."""

from typing import Any

import jax
import numpy as np

from benchmarks.measure import Disagreement, must_agree


def joined(parts: list[Any], field: str) -> np.ndarray:
    """One field of all batches `[devices, b, ...]`, as `[clips, ...]`."""
    arrays = [np.asarray(getattr(part, field)) for part in parts]
    return np.concatenate([a.reshape(-1, *a.shape[2:]) for a in arrays])


def check(ours: list[Any], theirs: list[dict], same_path: bool) -> dict[str, float]:
    """Differences of the two sides' results, of attributions and masks only with the same path and precision.

    Raises:
        Disagreement: they are not the same.
    """
    expected = {name: [part[name].numpy() for part in theirs] for name in theirs[0]}
    whole = np.concatenate([np.split(part, 3)[0] for part in expected["sounds"]])
    heard = np.concatenate([np.split(part, 3)[0] for part in expected["heard"]])
    own_heard = np.concatenate([np.asarray(part.heard)[:, 0].reshape(-1, part.heard.shape[-1]) for part in ours])
    errors = {
        "logits": must_agree("logits", joined(ours, "logits"), np.concatenate(expected["logits"]), 1e-3),
        "sounds": must_agree("sounds", joined(ours, "reconstruction"), whole.transpose(0, 2, 1), 1e-3),
        "heard": must_agree("logits of the sounds", own_heard, heard, 1e-2),
    }
    if not same_path:
        return errors
    attribution, mask = np.concatenate(expected["attribution"]), np.concatenate(expected["mask"])
    errors["attribution"] = must_agree("attributions", joined(ours, "attribution"), attribution, 1e-3)
    errors["masks"] = float((joined(ours, "mask") != mask).mean())
    if errors["masks"] > 1e-3:
        raise Disagreement(f"{errors['masks']:.1e} of the masks' elements differ: no speeds")
    return errors


def kept_alike(ours: list[Any], theirs: list[dict]) -> float:
    """Share of the elements which one side keeps that the other keeps, too."""
    own, other = joined(ours, "mask"), np.concatenate([part["mask"].numpy() for part in theirs])
    return float((own & other).sum() / own.sum())


def check_whole(own: list[jax.Array], theirs: list[list[Any]], tolerance: float) -> float:
    """Difference of the two sides' logits where everything is kept: what is put in its place is drawn by either side.

    Raises:
        Disagreement: they are not the same.
    """
    ours = np.concatenate([np.asarray(part)[:, 0].reshape(-1, part.shape[-1]) for part in own])
    return must_agree("logits of the whole", ours[: len(theirs)], [clip[0].numpy()[0] for clip in theirs], tolerance)
