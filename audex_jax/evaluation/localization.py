"""Planted evidence: a word at a known time; does the attribution find it?

A word's loudest stretch is cut out of its recording and laid into the first or the second half of a clip, into silence
(`silence`), over quiet noise (`noise`), or over the noise with another label's word in the other half (`two words`). In
the last it is explained why the clip is this word *rather than* the other one, so that which half is right depends on
the question and loudness alone finds nothing.

Integrated Gradients are averaged over the baselines `FILLERS` (expected gradients): what only one of them finds is more
often due to it than to the clip. A frame scores the sum of its attributions, with sign: the positive ones alone are
found wherever there is sound, by a model of shuffled weights as well. Single frames are noisy, and evidence for a word
is not in each of them; so the score is judged frame by frame, and as a moving mean over about a syllable. Frames of the
stretch in which the word is silent, before it, after it or in its closures, hold no evidence and count neither way.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution import expected_gradients, shuffled_weights
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.run import other_clip
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.step import FILLERS, Model, Settings, filler_latent, latent_of, valid_frames

WORD = 0.45  # length of a planted word as a share of the clip
NOISE_DB = -30.0  # level of the noise below the word
SILENT_DB = -25.0  # a frame of a planted word that is quieter than its loudest one by this is silent
RULE, STEPS = Settings().rule, 24  # of the path
MARGIN = 2  # frames around the word's ends that count neither way: encoders look around
KINDS = ("silence", "noise", "two words")
SYLLABLE = 0.25  # seconds that scores are averaged over, for the second of the two judgements


class Planted(NamedTuple):
    """Clips with planted words.

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


def plant(
    clips: Sequence[np.ndarray], files: Sequence[LabelledClip], labels: Sequence[str], samples: int, kind: str
) -> Planted:
    """Plant every clip's word, in its first half and, for the next clip, in its second, in turn.

    Args:
        clips: recordings `[n]`, with their `files`.
        labels: classes by number.
        samples: length of the planted clips.
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
    return Planted(0.1 * audio, start, start + length, 0.1 * word, target, against)


@functools.partial(jax.jit, static_argnames=("bandwidth", "steps"))
def _evidence(model: Model, audio, target, against, baselines, bandwidth: float | None, steps: int):
    """Predicted classes `[b]`, and each frame's evidence for the target rather than what it is against, `[b, t]`."""
    lengths = jnp.full(len(audio), audio.shape[1])
    latent = latent_of(weights.codec, audio, lengths, bandwidth)
    valid = valid_frames(lengths, latent.shape[1], weights.codec.config.hop)

    def one(args: tuple) -> jax.Array:
        z, v, own, other = args

        def rather(x: jax.Array) -> jax.Array:
            logits = weights.classifier(x, v)
            return logits[own] - jnp.where(other < 0, 0, logits[other])

        return expected_gradients(rather, z, baselines, rule=RULE, steps=steps).attribution.sum(1)

    predicted = jax.vmap(weights.classifier)(latent, valid).argmax(-1)
    return predicted, jax.lax.map(one, (latent, valid, target, against))


def localisation(score: np.ndarray, inside: np.ndarray, counted: np.ndarray) -> float:
    """Chance that a frame of the word scores higher than one outside it, ties counting half; NaN without either.

    >>> import numpy as np
    >>> localisation(np.array([3.0, 2.0, 2.0, 0.0]), np.array([True, True, False, False]), np.ones(4, bool))
    0.875
    """
    ours, rest = score[inside & counted], score[~inside & counted]
    if not len(ours) or not len(rest):
        return float("nan")
    return float((ours[:, None] > rest).mean() + (ours[:, None] == rest).mean() / 2)


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


def localise(
    explainer: Explainer, planted: Planted, *, shuffled: int | None = None, steps: int = STEPS, batch: int = 8
):
    """How well the attribution over time finds the planted words.

    Args:
        explainer: the model.
        planted: clips from `plant`.
        shuffled: shuffle the classifier's weights with this seed: the model that knows nothing.
        steps: points on the path.
        batch: clips at once; changes nothing else.

    Returns:
        Area under the ROC curve of each clip, frame by frame and as a moving mean, `[2, b]`, and whether the classifier
        hears the planted class, `[b]`.
    """
    weights, codec = explainer.model, explainer.model.codec
    if shuffled is not None:
        weights = weights._replace(classifier=shuffled_weights(weights.classifier, jax.random.key(shuffled)))
    frames, hop = codec.config.frames(planted.audio.shape[1]), codec.config.hop
    baselines = jnp.stack([filler_latent(weights, frames, Settings(filler=filler)) for filler in FILLERS])
    window = max(1, round(SYLLABLE * codec.config.frame_rate))
    areas, hits = [], []
    for first in range(0, len(planted.audio), batch):
        at = np.minimum(np.arange(first, first + batch), len(planted.audio) - 1)
        audio = np.repeat(planted.audio[at][..., None], codec.config.channels, 2)
        classes = planted.target[at], planted.against[at]
        label, evidence = _evidence(weights, audio, *classes, baselines, explainer.bandwidth, steps)
        for row, i in enumerate(range(first, min(first + batch, len(planted.audio)))):
            frame = np.arange(frames)
            begin, end = planted.start[i] / hop, planted.stop[i] / hop
            inside = (frame >= begin) & (frame < end)
            counted = np.minimum(np.abs(frame - begin), np.abs(frame - end)) > MARGIN
            counted &= ~inside | sounding(planted.word[i], frames, hop)
            score = np.asarray(evidence[row])
            areas.append([localisation(moving_mean(score, n), inside, counted) for n in (1, window)])
            hits.append(int(label[row]) == planted.target[i])
    return np.array(areas).T, np.array(hits)
