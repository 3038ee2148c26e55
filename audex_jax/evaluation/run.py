"""Evaluate explanations over labelled recordings: clip by clip, a clip a device, resumable."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from audex_jax import __version__
from audex_jax.bundles import digest
from audex_jax.core.errors import AudexError
from audex_jax.data.folder import LabelledClip
from audex_jax.devices.cpu import must_leave_a_thread
from audex_jax.evaluation.blocks import read_loud, score_in_blocks
from audex_jax.evaluation.evaluator import Evaluator
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.scratch import Scratch
from audex_jax.explain.explainer import Explainer
from audex_jax.io.files import sha256


def evaluate(
    explainer: Explainer,
    files: Sequence[LabelledClip],
    plan: Plan,
    scratch: pathlib.Path | None = None,
    chunk: int = 8,
    quiet: bool = True,
    devices: Sequence[Any] = (),
) -> Scores:
    """Score a plan's methods on labelled recordings.

    Args:
        explainer: the model.
        files: recordings; clips longer than the explainer's are cut.
        plan: what to measure.
        scratch: folder for what has been scored so far; a later call of the same plan, model and recordings goes on
            from there. None keeps nothing.
        chunk: edits classified at once; changes memory and speed only.
        quiet: show no progress.
        devices: that take a clip each; default: one. Changes the speed only.

    Raises:
        AudexError: no clip with sound, the filler `other` with clips of one label only, or CPU devices without a spare
            thread (`devices.cpu.must_leave_a_thread`).
        AudioError: names a recording that cannot be read.
    """
    must_leave_a_thread(devices)
    files, audio, lengths, silent = read_loud(explainer, files, quiet)
    mixes = "other" in plan.fillers
    if mixes and len({f.label for f in files}) < 2:
        raise AudexError("the filler `other` takes clips of another label, and all clips have one label; add clips")
    kept = Scratch(scratch, identity_of(explainer, files, plan) if scratch else {})

    def score(evaluator: Evaluator, number: int) -> dict[str, np.ndarray]:
        others = [other_clip(files, number, seed) for seed in range(plan.seeds)] if mixes else []
        return evaluator.score(audio[number], lengths[number], [(audio[j], lengths[j]) for j in others], number)

    evaluators = [Evaluator(explainer, plan, chunk, device) for device in devices or jax.local_devices()[:1]]
    found = score_in_blocks(score, len(files), evaluators, kept, "evaluating", quiet)
    return Scores(
        plan,
        explainer.labels,
        tuple(f"{f.path.parent.name}/{f.path.name}" for f in files),
        tuple(f.speaker for f in files),
        silent,
        np.array([explainer.labels.index(f.label) for f in files]),
        **found,
    )


def other_clip(files: Sequence[LabelledClip], number: int, seed: int) -> int:
    """Number of a clip of another label than that of clip `number`; the same seed draws the same one."""
    rng = np.random.default_rng([seed, number])
    others = [i for i, f in enumerate(files) if f.label != files[number].label]
    return others[int(rng.integers(len(others)))]


def choose(files: Sequence[LabelledClip], limit: int | None) -> list[LabelledClip]:
    """At most `limit` recordings in an order that mixes labels and is always the same."""
    order = np.random.default_rng(0).permutation(len(files))
    return [files[i] for i in order[:limit]]


def identity_of(explainer: Explainer, files: Sequence[LabelledClip], plan: Plan) -> dict[str, Any]:
    """What scores depend on; those of one identity may be joined."""
    recordings = "\n".join(f"{f.path} {f.label} {sha256(f.path)}" for f in files)
    return {
        "version": __version__,
        "plan": dataclasses.asdict(plan),
        "model": digest(explainer),
        "recordings": hashlib.sha256(recordings.encode(errors="surrogateescape")).hexdigest(),
    }
