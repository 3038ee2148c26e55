"""Events in a long recording: words lie at known times; which 100 ms of it speak for the word in question?

The recording is several clips long and is cut where the explainer's clips end, through words too. Each cut is explained
for the same class, present in it or not. Attributions add up to logits, so those of all cuts go into one ranking of
segments. Segments that the word fills by less than a half, and those in which it is silent, do not count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audex_jax.core.settings import Settings
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.localization import SETTINGS, auc, evidence, model_of
from audex_jax.evaluation.run import other_clip
from audex_jax.evaluation.words import NOISE_DB, WORD, loudest, sounding
from audex_jax.explain.explainer import Explainer

CUTS, WORDS = 4, 4  # clips that a recording is long, and words in it, the first of which is the one in question
SEGMENT = 0.1  # seconds


class Events(NamedTuple):
    """Long recordings of words at known times.

    Attributes:
        audio: `[b, n]`.
        start, stop: first sample of every word, and the first one after it, `[b, e]`; the first is the one in question.
        word: the word in question alone, `[b, n]`.
        target: its class, `[b]`. The others are of other classes.
    """

    audio: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    word: np.ndarray
    target: np.ndarray


def place_events(
    clips: Sequence[np.ndarray], files: Sequence[LabelledClip], labels: Sequence[str], samples: int
) -> Events:
    """Lay each clip's word, and words of other labels, over quiet noise at times drawn at random.

    Args:
        clips: recordings `[n]`, with their `files`.
        labels: classes by number.
        samples: of the explainer's clips; the recordings are `CUTS` times as long.
    """
    length, total = round(WORD * samples), CUTS * samples
    audio, word = np.zeros((2, len(clips), total), np.float32)
    start = np.zeros((len(clips), WORDS), np.int32)
    for i, clip in enumerate(clips):
        rng = np.random.default_rng([2, i])
        gaps = np.sort(rng.integers(total - WORDS * length + 1, size=WORDS))
        start[i] = rng.permutation(gaps + length * np.arange(WORDS))
        audio[i] = 10 ** (NOISE_DB / 20) * rng.normal(size=total)
        others = [clips[other_clip(files, i, seed)] for seed in range(WORDS - 1)]
        for at, sound in zip(start[i], (clip, *others), strict=True):
            audio[i, at : at + length] += loudest(sound, length)
        word[i, start[i, 0] : start[i, 0] + length] = loudest(clip, length)
    target = np.array([labels.index(f.label) for f in files], np.int32)
    return Events(0.1 * audio, start, start + length, 0.1 * word, target)


def event_auc(
    explainer: Explainer,
    events: Events,
    *,
    shuffled: int | None = None,
    settings: Settings = SETTINGS,
    batch: int = 8,
) -> np.ndarray:
    """How well the attribution over time finds the words in question among everything else, and among other words.

    Args:
        explainer: the model.
        events: from `place_events`.
        shuffled: seed of `localization.model_of`.
        settings: how to attribute.
        batch: cuts at once; changes nothing else.

    Returns:
        Area under the ROC curve of the segments inside the word against all others, and against those inside other
        words, `[2, b]`; NaN where none counts.
    """
    model, codec = model_of(explainer, shuffled), explainer.model.codec
    count, total = events.audio.shape
    cuts = events.audio.reshape(count * CUTS, -1)
    target = np.repeat(events.target, CUTS)
    found = []
    for first in range(0, len(cuts), batch):
        at = np.minimum(np.arange(first, first + batch), len(cuts) - 1)
        audio = np.repeat(cuts[at][..., None], codec.channels, 2)
        found.append(np.asarray(evidence(model, audio, target[at], np.full(batch, -1, np.int32), settings)[1]))
    frames = np.concatenate(found)[: len(cuts)].reshape(count, CUTS, -1)
    hop, size = codec.hop, round(SEGMENT * codec.sample_rate)
    segments = -(-total // size)
    time = np.arange(CUTS)[:, None] * (total // CUTS) + (np.arange(frames.shape[2]) + 0.5) * hop
    number = (np.minimum(time, total - 1).astype(int) // size).ravel()
    areas = []
    for i, score in enumerate(frames):
        mean = np.bincount(number, score.ravel(), segments) / np.maximum(np.bincount(number, minlength=segments), 1)
        fills = filled(events.start[i], events.stop[i], segments, size)
        inside = (fills[0] >= 0.5) & sounding(events.word[i], segments, size)
        counted = inside | (fills[0] == 0)
        areas.append([auc(mean, inside, counted & where) for where in (True, inside | (fills[1:] >= 0.5).any(0))])
    return np.array(areas).T


def filled(start: np.ndarray, stop: np.ndarray, segments: int, size: int) -> np.ndarray:
    """Share of each segment of `size` samples that each event fills, `[e, segments]`.

    >>> filled(np.array([5]), np.array([20]), 3, 10).tolist()
    [[0.5, 1.0, 0.0]]
    """
    begin = size * np.arange(segments)
    covered = np.minimum(stop[:, None], begin + size) - np.maximum(start[:, None], begin)
    return np.maximum(covered, 0) / size
