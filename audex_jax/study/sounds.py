"""The explanations of one recording by several methods, as listeners hear them: all at one level."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, Float, Int
from audex_jax.evaluation.judge import EncodedClip, look, order_elements, random_order, sound_editor
from audex_jax.evaluation.plan import INPUT_METHODS, LATENT_METHODS
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.step import Model, filler_latent, sounds_of
from audex_jax.masking.edit import fill, top_share
from audex_jax.study.plan import RECONSTRUCTION

LEVEL_DB, HIGHEST = -23.0, 0.99  # RMS of what listeners hear, unless a peak would go beyond the highest


class Explained(NamedTuple):
    """What the model decided, how sure it is, and an explanation's sound for each method, `[n]` or `[n, c]`."""

    target: str
    probability: float
    sounds: dict[str, np.ndarray]


def explain_by(
    explainer: Explainer, audio: np.ndarray, methods: Sequence[str], keep: float, seed: int, number: int
) -> Explained:
    """Explain the model's decision on one clip by each method.

    Args:
        explainer: the model.
        audio: the clip, `[n]` or `[n, c]`, up to `explainer.clip_samples`.
        methods: full names, of `plan.METHODS`.
        keep: share that every method keeps, of latent elements or of parts of the sound.
        seed, number: of the study and of the clip; they decide what random methods draw.
    """
    settings, weights = Settings(), explainer.model
    assert isinstance(settings.steps, int)
    padded, lengths = explainer.pad([audio])
    clip = look(weights, padded[0], lengths[0], explainer.bandwidth)
    filler = filler_latent(weights, clip.latent.shape[0], settings)
    key = jax.random.fold_in(jax.random.key(seed), number)
    ordered = tuple(m for m in methods if m in LATENT_METHODS and m != "random")
    path = (settings.rule, settings.steps)
    sounds: dict[str, Array] = {}
    if ordered:
        orders = order_elements(weights, clip, filler, ordered, *path, settings.refinement)
        sounds |= dict(zip(ordered, keep_elements(weights, clip, orders.ranks, filler, keep), strict=True))
    for method in methods:
        if method == "random":
            sounds[method] = keep_elements(weights, clip, random_order(key, clip)[None], filler, keep)[0]
        elif method in INPUT_METHODS:
            sounds[method] = keep_sound(weights, clip, key, keep, method, *path)
        elif method == RECONSTRUCTION:
            sounds[method] = clip.sound
    target = int(clip.target)
    found = {m: np.asarray(sounds[m])[: len(audio)] for m in methods}
    found = {m: sound[:, 0] if sound.shape[1] == 1 else sound for m, sound in found.items()}
    return Explained(explainer.labels[target], float(jax.nn.softmax(clip.logits)[target]), found)


@jax.jit
def keep_elements(
    model: Model, clip: EncodedClip, ranks: Int[Array, "m t d"], filler: ClipLatent, keep: float | Array
) -> Float[Array, "m n c"]:
    """The sounds of the top share of a clip's latent elements in each of m orders."""
    masks = jax.vmap(top_share, (0, None, None))(ranks, clip.valid, keep)
    kept = jax.vmap(fill, (None, 0, None))(clip.latent, masks, filler)
    return sounds_of(weights.codec, kept, jnp.full(len(kept), clip.length), len(clip.sound))


@functools.partial(jax.jit, static_argnames=("method", "rule", "steps"))
def keep_sound(
    model: Model, clip: EncodedClip, key: Array, keep: float | Array, method: str, rule: str, steps: int
) -> Float[Array, "n c"]:
    """The top share of the parts of a clip's sound by an input method, the rest silenced."""
    return sound_editor(weights, clip, key, method, rule, steps)(keep, False)


def level_matched(sounds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sounds of one clip at one root mean square level: -23 dBFS, or less if a peak would go beyond full scale.

    A sound of digital silence stays silent.

    >>> matched = level_matched({"loud": np.ones(4), "quiet": np.array([0.0, 0.0, 0.0, 0.1])})
    >>> [round(float(np.sqrt(np.mean(sound**2))), 4) for sound in matched.values()]
    [0.0708, 0.0708]
    """
    wanted = 10 ** (LEVEL_DB / 20)
    level = {name: float(np.sqrt(np.mean(np.square(sound)))) for name, sound in sounds.items()}
    gains = {name: wanted / rms if rms > 1e-6 else 1.0 for name, rms in level.items()}
    peaks = [gains[name] * float(np.abs(sound).max(initial=0)) for name, sound in sounds.items()]
    together = min(1.0, HIGHEST / max(max(peaks), 1e-9))
    return {name: together * gains[name] * sound for name, sound in sounds.items()}
