"""Words at known times: a word's loudest stretch is cut out of its recording and laid into a clip.

It lies in the first or the second half of the clip, in silence (`silence`), over quiet noise (`noise`), or over the
noise with another label's word in the other half (`two words`). In the last the question is why the clip is this word
*rather than* the other one, so that which half is right depends on the question and loudness alone finds nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.run import other_clip

WORD = 0.45  # length of a word as a share of the clip
NOISE_DB = -30.0  # level of the noise below the word
SILENT_DB = -25.0  # a frame of a word that is quieter than its loudest one by this is silent
KINDS = ("silence", "noise", "two words")


class PlacedWords(NamedTuple):
    """Clips that consist of words at known times.

    Attributes:
        audio: `[b, n]`.
        start, stop: first sample of the word in question, and the first one after it, `[b]`.
        word: that word alone, `[b, n]`.
        target: its class, `[b]`.
        against: class of the other word, -1 where there is none, `[b]`.
    """

    audio: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    word: np.ndarray
    target: np.ndarray
    against: np.ndarray


def loudest(clip: np.ndarray, samples: int) -> np.ndarray:
    """The stretch of `samples` samples with the most energy, faded in and out, at a root mean square of 1."""
    clip = np.pad(clip, (0, max(0, samples - len(clip))))
    energy = np.concatenate([[0.0], np.cumsum(np.square(clip, dtype=np.float64))])
    start = int((energy[samples:] - energy[:-samples]).argmax())
    fade = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.05 * samples))
    word = clip[start : start + samples] * fade
    return (word / max(float(np.sqrt(np.mean(np.square(word)))), 1e-8)).astype(np.float32)


def place_words(
    clips: Sequence[np.ndarray], files: Sequence[LabelledClip], labels: Sequence[str], samples: int, kind: str
) -> PlacedWords:
    """Lay every clip's word into its first half and, for the next clip, into its second, in turn.

    Args:
        clips: recordings `[n]`, with their `files`.
        labels: classes by number.
        samples: length of the clips to make.
        kind: one of `KINDS`.
    """
    length, half = round(WORD * samples), samples // 2
    free = half - length
    audio, word = np.zeros((2, len(clips), samples), np.float32)
    start = np.zeros(len(clips), np.int32)
    against = np.full(len(clips), -1, np.int32)
    for i, clip in enumerate(clips):
        rng = np.random.default_rng([1, i])
        if kind != "silence":
            audio[i] = 10 ** (NOISE_DB / 20) * rng.normal(size=samples)
        first = i % 2 * half
        start[i] = first + rng.integers(free + 1)
        word[i, start[i] : start[i] + length] = loudest(clip, length)
        audio[i] += word[i]
        if kind == "two words":
            at, other = half - first + rng.integers(free + 1), other_clip(files, i, 0)
            audio[i, at : at + length] += loudest(clips[other], length)
            against[i] = labels.index(files[other].label)
    target = np.array([labels.index(f.label) for f in files], np.int32)
    return PlacedWords(0.1 * audio, start, start + length, 0.1 * word, target, against)


def sounding(word: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """True for the frames of `hop` samples in which a word `[n]` is at most `SILENT_DB` below its loudest one, `[t]`.

    >>> import numpy as np
    >>> sounding(np.array([0.0, 0.0, 1.0, -1.0, 0.01, 0.0, 0.5, 0.5]), frames=4, hop=2)
    array([False,  True, False,  True])
    """
    power = np.square(np.pad(word, (0, frames * hop - len(word)))).reshape(frames, hop).mean(1)
    return power >= 10 ** (SILENT_DB / 10) * power.max()
