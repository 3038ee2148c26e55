"""The explanations of one recording by several methods, as listeners hear them: all at one level."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, Float, Int
from audex_jax.evaluation.arms import Arm, arm_of
from audex_jax.evaluation.edits import decode_at_level, encode_clip
from audex_jax.evaluation.input_space import sound_editor
from audex_jax.evaluation.orders import order_elements
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, filler_latent
from audex_jax.masking.edit import fill
from audex_jax.masking.rank import top_share
from audex_jax.study.plan import RECONSTRUCTION

decode = compile_step(decode_at_level)

LEVEL_DB, HIGHEST = -23.0, 0.99  # RMS of what listeners hear, unless a peak would go beyond the highest


class Explained(NamedTuple):
    """The label that is explained, its probability, and an explanation's sound for each method, `[n]` or `[n, c]`."""

    target: str
    target_probability: float
    sounds: dict[str, np.ndarray]


def explain_by(
    explainer: Explainer, audio: np.ndarray, methods: Sequence[str], keep: float, seed: int, number: int
) -> Explained:
    """Explain the model's decision on one clip by each method.

    Args:
        explainer: the model.
        audio: the clip, `[n]` or `[n, c]`, up to `explainer.clip_samples`.
        methods: full names, see `StudyPlan`.
        keep: share that every method keeps, of latent elements or of parts of the sound.
        seed, number: of the study and of the clip; they decide what random methods draw.
    """
    settings, model = Settings(), explainer.model
    padded, lengths = explainer.pad([audio])
    clip = encode_clip(model, padded[0], lengths[0])
    filler = filler_latent(model, clip.latent.shape[0], settings)
    drawn = int(np.random.default_rng([seed, number]).integers(2**31))
    arms = {name: arm_of(name) for name in methods if name != RECONSTRUCTION}
    latent = tuple(arm for arm in arms.values() if arm.space == "latent")
    ranks = order_elements(model, clip, filler, latent, settings, drawn).ranks if latent else {}
    sounds: dict[str, np.ndarray] = {}
    for name in methods:
        arm = arms.get(name)
        if arm is None:
            sound = decode(model, clip, clip.latent[None])[0]
        elif arm.space == "latent":
            sound = keep_elements(model, clip, ranks[arm], filler, keep)
        else:
            sound = keep_sound(model, clip, arm, settings, drawn, keep)
        own = np.asarray(sound)[: len(audio)]
        sounds[name] = own[:, 0] if own.shape[1] == 1 else own
    target = int(clip.target)
    return Explained(explainer.labels[target], float(jax.nn.softmax(clip.logits)[target]), sounds)


@compile_step
def keep_elements(
    model: Model, clip: EncodedClip, ranks: Int[Array, "t d"], filler: ClipLatent, keep: float
) -> Float[Array, "n c"]:
    """The sound of the top share of a clip's latent elements."""
    kept = fill(clip.latent, top_share(ranks, clip.sounding, keep), clip.valid, filler)
    return decode_at_level(model, clip, kept[None])[0]


@compile_step(static_argnames=("arm", "settings"))
def keep_sound(
    model: Model, clip: EncodedClip, arm: Arm, settings: Settings, seed: int, keep: float
) -> Float[Array, "n c"]:
    """The top share of the parts of a clip's sound by an arm, the rest silenced."""
    return sound_editor(model, clip, arm, settings, seed)(keep, False)


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
