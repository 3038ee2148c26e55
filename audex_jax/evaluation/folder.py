"""Evaluate a model on a labelled folder: read, score, summarise, write."""

import dataclasses
import importlib.metadata
import os
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any

import jax

from audex_jax import __version__
from audex_jax.adapters.open import open_explainer
from audex_jax.adapters.source import Source
from audex_jax.bundles import digest
from audex_jax.core.settings import Settings
from audex_jax.data.folder import DataError, LabelledClip, read_folder
from audex_jax.evaluation.blocks import read_loud
from audex_jax.evaluation.controls import run_controls
from audex_jax.evaluation.outputs import write_outputs
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import choose, evaluate
from audex_jax.evaluation.statistics import all_or_none
from audex_jax.evaluation.strangers import open_strangers, summarise_strangers
from audex_jax.evaluation.summary import summarise
from audex_jax.evaluation.transfer import ask_strangers
from audex_jax.explain.explainer import Explainer

CONTROLS = 24  # clips that get controls, unless asked otherwise
CONTROL_SHARE = Settings.keep


def evaluate_folder(
    model: str | os.PathLike | Source,
    data: str | os.PathLike,
    plan: Plan,
    out: pathlib.Path,
    *,
    split: str = "test",
    limit: int | None = None,
    skip: int = 0,
    chunk: int = 8,
    quiet: bool = False,
    devices: int | None = None,
    strangers: Sequence[str | os.PathLike] = (),
    controls: int = CONTROLS,
) -> dict[str, Any]:
    """Evaluate a model on a labelled folder and write `fidelity.json`, `fidelity.parquet` and `curves.png`.

    Args:
        model: name or folder of an explainer, or the source of a classifier.
        data: the labelled folder.
        plan: what to measure.
        out: folder to write to; it is made.
        split, limit, skip: which clips, at most how many, and how many are left out before them.
        chunk: edits classified at once.
        quiet: show no progress.
        devices: how many of this process take a clip each; None for all.
        controls: clips on which the first method gets its controls, see `controls.run_controls`; 0 for none.
        strangers: explainers, or folders of them, that classify the sounds of the edits as well.

    Returns:
        The content of `fidelity.json`.

    Raises:
        ValueError: a model or folder that cannot be used, or no clips in the split.
    """
    explainer = open_explainer(model)
    files = clips_of(explainer, data, split, None if limit is None else skip + limit)[skip:]
    out.mkdir(parents=True, exist_ok=True)
    others = open_strangers(strangers)
    scratch, asked = out / "fidelity.partial", out / "strangers.partial"
    how = (chunk, quiet, jax.local_devices()[:devices])
    started = time.monotonic()
    heard = ask_strangers(explainer, others, files, plan, asked, *how) if others else None
    scores = evaluate(explainer, files, plan, scratch, *how)
    record = {
        "model": str(model.classifier if isinstance(model, Source) else model),
        "weights": digest(explainer)[:12],
        "data": pathlib.Path(data).name,
        "split": split,
        "plan": dataclasses.asdict(plan),
        "versions": {"audex-jax": __version__} | {p: importlib.metadata.version(p) for p in ("jax", "flax", "numpy")},
        "device": jax.devices()[0].device_kind,
        **summarise(scores),
        **_controls(explainer, files[:controls], plan, quiet),
        **({} if heard is None else {"strangers": summarise_strangers(heard)}),
        "seconds": time.monotonic() - started,
    }
    write_outputs(out, scores, record)
    for folder in (scratch, asked):
        shutil.rmtree(folder, ignore_errors=True)
    return record


def _controls(explainer: Explainer, files: Sequence[LabelledClip], plan: Plan, quiet: bool) -> dict[str, Any]:
    """What the first method makes of wrong targets and shuffled weights; nothing for input methods."""
    arm = plan.arms[plan.methods[0]]
    if not files or arm.space != "latent":
        return {}
    names = {"method": arm.method, "ranking": arm.ranking, "keep": CONTROL_SHARE}
    loud, audio, lengths, _ = read_loud(explainer, files, quiet)
    clips = [clip[:length] for clip, length in zip(audio, lengths, strict=True)]
    found = run_controls(explainer, clips, dataclasses.replace(plan.settings, **names), quiet=quiet)
    return {"controls": {"settings": names} | found.figures(all_or_none(f.speaker for f in loud))}


def clips_of(explainer: Explainer, data: str | os.PathLike, split: str, limit: int | None) -> list[LabelledClip]:
    """Recordings of the explainer's labels in one split of a folder.

    Raises:
        DataError: the folder cannot be used, or has no such clips.
    """
    folder = read_folder(data, explainer.labels)
    files = choose(folder.split(split), limit)
    if not files:
        raise DataError(f"{data}: no clips in the {split} split ({folder.split_by}); choose another --split")
    return files
