"""Localization: a word lies at a known time (`words`); does the attribution find it?

Expected gradients average over the baselines of all fillers: what only one of them finds is more often due to it than
to the clip. A frame scores the sum of its attributions, with sign: the positive ones alone are found wherever there is
sound, by a model of shuffled weights as well. Single frames are noisy, and evidence for a word is not in each of them;
so frames are ranked by their own score, and by a moving mean over about a syllable. Frames of the stretch in which the
word is silent, before it, after it or in its closures, hold no evidence and do not count.
"""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.controls import shuffled_weights
from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Audio, Float, Int
from audex_jax.evaluation.words import PlacedWords, sounding
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, encode_and_classify, filler_latent
from audex_jax.explain.step import attribute

SETTINGS = Settings(method="expected-gradients", steps=72)  # 24 points for each of the baselines
MARGIN = 2  # frames around the word's ends that do not count: encoders look around
SYLLABLE = 0.25  # seconds of the moving mean


@compile_step(static_argnames="settings")
def evidence(
    model: Model, audio: Audio, target: Int[Array, " b"], against: Int[Array, " b"], settings: Settings
) -> tuple[Int[Array, " b"], Float[Array, "b t"]]:
    """Predicted classes, and each frame's evidence for the target rather than the class that it is against, if any."""
    clips = encode_and_classify(model, audio, jnp.full(len(audio), audio.shape[1]), target, against)
    baseline = filler_latent(model, clips.latent.shape[1], settings)

    def one(clip: EncodedClip) -> Array:
        return attribute(model, clip, settings, baseline).attribution.sum(1)

    return clips.logits.argmax(-1), jax.lax.map(one, clips)


def model_of(explainer: Explainer, shuffled: int | None) -> Model:
    """The explainer's model, or one that has learnt nothing: with its classifier's weights shuffled by a seed."""
    if shuffled is None:
        return explainer.model
    classifier = shuffled_weights(explainer.model.classifier, jax.random.key(shuffled))
    return explainer.model._replace(classifier=classifier)


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
        shuffled: seed of `model_of`.
        settings: how to attribute.
        batch: clips at once; changes nothing else.

    Returns:
        Area under the ROC curve of each clip, frame by frame and as a moving mean, `[2, b]`, and whether the classifier
        predicts the word, `[b]`.
    """
    model, codec = model_of(explainer, shuffled), explainer.model.codec
    frames, hop = int(codec.frames(placed.audio.shape[1])), codec.hop
    window = max(1, round(SYLLABLE * codec.sample_rate / hop))
    areas, hits = [], []
    for first in range(0, len(placed.audio), batch):
        at = np.minimum(np.arange(first, first + batch), len(placed.audio) - 1)
        audio = np.repeat(placed.audio[at][..., None], codec.channels, 2)
        label, scores = evidence(model, audio, placed.target[at], placed.against[at], settings)
        for row, i in enumerate(range(first, min(first + batch, len(placed.audio)))):
            frame = np.arange(frames)
            begin, end = placed.start[i] / hop, placed.stop[i] / hop
            inside = (frame >= begin) & (frame < end)
            counted = np.minimum(np.abs(frame - begin), np.abs(frame - end)) > MARGIN
            counted &= ~inside | sounding(placed.word[i], frames, hop)
            score = np.asarray(scores[row])
            areas.append([auc(moving_mean(score, n), inside, counted) for n in (1, window)])
            hits.append(int(label[row]) == placed.target[i])
    return np.array(areas).T, np.array(hits)
