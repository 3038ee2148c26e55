"""Clips through workers, one clip a worker at a time, in blocks that are kept."""

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.scratch import Scratch
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.result import Explanation
from audex_jax.io.audio import SILENCE_PEAK
from audex_jax.io.progress import COMPILING, Bar

BLOCK = 8  # clips between two saves
BATCH = 8  # clips explained at once
Worker = TypeVar("Worker")


class LoudClips(NamedTuple):
    """Recordings that hold sound.

    Attributes:
        files: which.
        audio, lengths: zero-padded, `[c, n, channels]`, and their own samples, `[c]`.
        silent: how many were left out.
    """

    files: list[LabelledClip]
    audio: np.ndarray
    lengths: np.ndarray
    silent: int


def read_loud(explainer: Explainer, files: Sequence[LabelledClip], quiet: bool = True) -> LoudClips:
    """Read recordings, cut to the explainer's clips, and leave out those without sound.

    Raises:
        AudexError: none holds any.
        AudioError: names a recording that cannot be read.
    """
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate, quiet)]
    loud = [i for i, clip in enumerate(clips) if np.abs(clip).max() >= SILENCE_PEAK]
    if not loud:
        raise AudexError(f"none of {len(clips)} recordings holds any sound; nothing to evaluate")
    return LoudClips([files[i] for i in loud], *explainer.pad([clips[i] for i in loud]), len(clips) - len(loud))


def explain_all(
    explainer: Explainer,
    clips: Sequence[np.ndarray],
    settings: Settings,
    control: bool = False,
    batch: int = BATCH,
) -> Iterator[Explanation]:
    """Explanations of any number of clips `[n]` in batches of one size, for which one program is compiled."""
    for first in range(0, len(clips), batch):
        some = list(clips[first : first + batch])
        filled = some + some[:1] * (batch - len(some))
        yield from explainer.explain_clips(filled, settings=settings, control=control)[: len(some)]


def score_in_blocks(
    score: Callable[[Worker, int], dict[str, np.ndarray]],
    count: int,
    workers: Sequence[Worker],
    kept: Scratch,
    title: str,
    quiet: bool = True,
) -> dict[str, np.ndarray]:
    """Score `count` clips and join what is found, `[c, ...]` each.

    Args:
        score: gives the scores of the clip of a number, by a worker that is free.
        count: of clips.
        workers: how many clips are scored at a time, and by what.
        kept: where blocks are kept, and found.
        title: of the progress bar.
        quiet: show no progress.
    """
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def one(number: int) -> dict[str, np.ndarray]:
        worker = free.get()
        try:
            return score(worker, number)
        finally:
            free.put(worker)

    done: list[dict[str, np.ndarray]] = []
    with Bar(title, count, quiet, COMPILING) as bar, ThreadPoolExecutor(len(workers)) as pool:
        for first in range(0, count, BLOCK):
            block = kept.load(first)
            if block is None:
                found = []
                for scores in pool.map(one, range(first, min(first + BLOCK, count))):
                    found.append(scores)
                    bar.update(first + len(found))
                block = {name: np.stack([scores[name] for scores in found]) for name in found[0]}
                kept.save(first, block)
            done.append(block)
            bar.update(min(first + BLOCK, count))
    return {name: np.concatenate([block[name] for block in done]) for name in done[0]}
