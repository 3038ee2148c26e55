"""Evaluate explanations over labelled recordings: clip by clip, a clip a device, resumable."""

import dataclasses
import hashlib
import pathlib
import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from audex_jax import __version__
from audex_jax.bundles import digest
from audex_jax.core.errors import AudexError
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.devices.cpu import must_leave_a_thread
from audex_jax.evaluation.evaluator import Evaluator
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.scratch import Scratch
from audex_jax.explain.explainer import Explainer
from audex_jax.io.audio import SILENCE_PEAK
from audex_jax.io.progress import Bar

BLOCK = 8  # clips between two saves


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
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate, quiet)]
    loud = [i for i, clip in enumerate(clips) if np.abs(clip).max() >= SILENCE_PEAK]
    silent = len(clips) - len(loud)
    files, clips = [files[i] for i in loud], [clips[i] for i in loud]
    if not clips:
        raise AudexError(f"none of {silent} recordings holds any sound; nothing to evaluate")
    mixes = "other" in plan.fillers
    if mixes and len({f.label for f in files}) < 2:
        raise AudexError("the filler `other` takes clips of another label, and all clips have one label; add clips")
    kept = Scratch(scratch, identity_of(explainer, files, plan) if scratch else {})
    audio, lengths = explainer.pad(clips)
    free: queue.SimpleQueue[Evaluator] = queue.SimpleQueue()
    for device in devices or jax.local_devices()[:1]:
        free.put(Evaluator(explainer, plan, chunk, device))

    def score(number: int) -> dict[str, np.ndarray]:
        others = [other_clip(files, number, seed) for seed in range(plan.seeds)] if mixes else []
        evaluator = free.get()
        try:
            return evaluator.score(audio[number], lengths[number], [(audio[j], lengths[j]) for j in others], number)
        finally:
            free.put(evaluator)

    done: list[dict[str, np.ndarray]] = []
    with Bar("evaluating", len(clips), quiet) as bar, ThreadPoolExecutor(free.qsize()) as pool:
        for first in range(0, len(clips), BLOCK):
            block = kept.load(first)
            if block is None:
                found = []
                for one in pool.map(score, range(first, min(first + BLOCK, len(clips)))):
                    found.append(one)
                    bar.update(first + len(found))
                block = {name: np.stack([one[name] for one in found]) for name in found[0]}
                kept.save(first, block)
            done.append(block)
            bar.update(min(first + BLOCK, len(clips)))
    return Scores(
        plan,
        explainer.labels,
        tuple(f"{f.path.parent.name}/{f.path.name}" for f in files),
        tuple(f.speaker for f in files),
        silent,
        np.array([explainer.labels.index(f.label) for f in files]),
        **{name: np.concatenate([block[name] for block in done]) for name in done[0]},
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
    return {
        "version": __version__,
        "plan": dataclasses.asdict(plan),
        "model": digest(explainer),
        "recordings": hashlib.sha256("\n".join(f"{f.path} {f.label}" for f in files).encode()).hexdigest(),
    }
