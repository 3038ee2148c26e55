"""Localization: a word lies at a known time; does the attribution find it?

A word's loudest stretch is cut out of its recording and laid into the first or the second half of a clip, into silence
(`silence`), over quiet noise (`noise`), or over the noise with another label's word in the other half (`two words`). In
the last it is explained why the clip is this word *rather than* the other one, so that which half is right depends on
the question and loudness alone finds nothing.

Expected gradients average over the baselines of all fillers: what only one of them finds is more often due to it than
to the clip. A frame scores the sum of its attributions, with sign: the positive ones alone are found wherever there is
sound, by a model of shuffled weights as well. Single frames are noisy, and evidence for a word is not in each of them;
so frames are ranked by their own score, and by a moving mean over about a syllable. Frames of the stretch in which the
word is silent, before it, after it or in its closures, hold no evidence and do not count.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.controls import shuffled_weights
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Audio, Float, Int
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.run import other_clip
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, encode_and_classify, filler_latent
from audex_jax.explain.step import attribute

SETTINGS = Settings(method="expected-gradients", steps=72)  # 24 points for each of the baselines
WORD = 0.45  # length of a word as a share of the clip
NOISE_DB = -30.0  # level of the noise below the word
SILENT_DB = -25.0  # a frame of a word that is quieter than its loudest one by this is silent
MARGIN = 2  # frames around the word's ends that do not count: encoders look around
KINDS = ("silence", "noise", "two words")
SYLLABLE = 0.25  # seconds of the moving mean


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


@functools.partial(jax.jit, static_argnames="settings")
def _evidence(
    model: Model, audio: Audio, target: Int[Array, " b"], against: Int[Array, " b"], settings: Settings
) -> tuple[Int[Array, " b"], Float[Array, "b t"]]:
    """Predicted classes, and each frame's evidence for the target rather than the class that it is against, if any."""
    clips = encode_and_classify(model, audio, jnp.full(len(audio), audio.shape[1]), target)
    baseline = filler_latent(model, clips.latent.shape[1], settings)

    def one(args: tuple[EncodedClip, Array]) -> Array:
        clip, other = args

        def difference(logits: Array) -> Array:
            return logits[clip.target] - jnp.where(other < 0, 0, logits[other])

        return attribute(model, clip, settings, baseline, difference).attribution.sum(1)

    return clips.logits.argmax(-1), jax.lax.map(one, (clips, against))


def auc(score: np.ndarray, inside: np.ndarray, counted: np.ndarray) -> float:
    """Area under the ROC curve: chance that a frame of the word scores higher than one outside it; NaN without either.

    >>> import numpy as np
    >>> auc(np.array([3.0, 2.0, 2.0, 0.0]), np.array([True, True, False, False]), np.ones(4, bool))
    0.875
    """
    word, others = score[inside & counted], score[~inside & counted]
    if not len(word) or not len(others):
        return float("nan")
    return float((word[:, None] > others).mean() + (word[:, None] == others).mean() / 2)


def sounding(word: np.ndarray, frames: int, hop: int) -> np.ndarray:
    """True for the frames of `hop` samples in which a word `[n]` is at most `SILENT_DB` below its loudest one, `[t]`.

    >>> import numpy as np
    >>> sounding(np.array([0.0, 0.0, 1.0, -1.0, 0.01, 0.0, 0.5, 0.5]), frames=4, hop=2)
    array([False,  True, False,  True])
    """
    power = np.square(np.pad(word, (0, frames * hop - len(word)))).reshape(frames, hop).mean(1)
    return power >= 10 ** (SILENT_DB / 10) * power.max()


def moving_mean(score: np.ndarray, frames: int) -> np.ndarray:
    """Mean of the scores in a window of `frames` frames around each; outside the clip there is nothing.

    >>> import numpy as np
    >>> moving_mean(np.array([3.0, 0.0, 0.0, 6.0]), 3)
    array([1., 1., 2., 2.])
    """
    return np.convolve(score, np.full(frames, 1 / frames), "full")[(frames - 1) // 2 :][: len(score)]


def localization_auc(
    explainer: Explainer,
    placed: PlacedWords,
    *,
    shuffled: int | None = None,
    settings: Settings = SETTINGS,
    batch: int = 8,
) -> tuple[np.ndarray, np.ndarray]:
    """How well the attribution over time finds the words.

    Args:
        explainer: the model.
        placed: clips from `place_words`.
        shuffled: shuffle the classifier's weights with this seed: a model that has learnt nothing.
        settings: how to attribute.
        batch: clips at once; changes nothing else.

    Returns:
        Area under the ROC curve of each clip, frame by frame and as a moving mean, `[2, b]`, and whether the classifier
        predicts the word, `[b]`.
    """
    model, codec = explainer.model, explainer.model.codec
    if shuffled is not None:
        model = model._replace(classifier=shuffled_weights(model.classifier, jax.random.key(shuffled)))
    frames, hop = int(codec.frames(placed.audio.shape[1])), codec.hop
    window = max(1, round(SYLLABLE * codec.sample_rate / hop))
    areas, hits = [], []
    for first in range(0, len(placed.audio), batch):
        at = np.minimum(np.arange(first, first + batch), len(placed.audio) - 1)
        audio = np.repeat(placed.audio[at][..., None], codec.channels, 2)
        label, evidence = _evidence(model, audio, placed.target[at], placed.against[at], settings)
        for row, i in enumerate(range(first, min(first + batch, len(placed.audio)))):
            frame = np.arange(frames)
            begin, end = placed.start[i] / hop, placed.stop[i] / hop
            inside = (frame >= begin) & (frame < end)
            counted = np.minimum(np.abs(frame - begin), np.abs(frame - end)) > MARGIN
            counted &= ~inside | sounding(placed.word[i], frames, hop)
            score = np.asarray(evidence[row])
            areas.append([auc(moving_mean(score, n), inside, counted) for n in (1, window)])
            hits.append(int(label[row]) == placed.target[i])
    return np.array(areas).T, np.array(hits)
