"""Arms that edit the decoded sound instead of its latent: the samples, the bins of its spectrum, or whole frames.

The sound is the decoded latent, so that the codec's loss weighs on these arms as on latent ones. What they take out is
silenced. Gradients pass encoder and classifier, and the quantiser straight through.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.input_space import spectrum
from audex_jax.core.errors import AudexError
from audex_jax.core.host import compile_step
from audex_jax.core.registry import METHODS, RANKINGS
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Bool, Float, Int
from audex_jax.evaluation.arms import Arm
from audex_jax.evaluation.edits import EditScores, decode_at_level, edit_scores, in_chunks
from audex_jax.explain.model import EncodedClip, Model, classify_audio, shifted
from audex_jax.explain.step import clip_key
from audex_jax.masking.optimise import margin
from audex_jax.masking.rank import Context, element_ranks, top_share

Sound = Float[Array, "n c"]
WINDOW = 512  # samples of the spectrum's window


class Parts(NamedTuple):
    """A sound in some space.

    Attributes:
        values: `[m, f]`.
        own: False for what lies in padding, `[m]`.
        synthesise: the sound of such values.
    """

    values: Float[Array, "m f"]
    own: Bool[Array, " m"]
    synthesise: Callable[[Array], Sound]


def _waveform(sound: Sound, length: Array, hop: int) -> Parts:
    return Parts(sound, jnp.arange(len(sound)) < length, lambda values: values)


def _spectrum(sound: Sound, length: Array, hop: int) -> Parts:
    window = min(WINDOW, len(sound) // 4 * 4)
    values, synthesise = spectrum(sound, window)
    own = jnp.arange(len(values)) * (window // 4) - window // 2 < length  # windows are centred
    return Parts(values, own, synthesise)


def _frames(sound: Sound, length: Array, hop: int) -> Parts:
    frames = -(-len(sound) // hop)
    values = jnp.pad(sound, ((0, frames * hop - len(sound)), (0, 0))).reshape(frames, -1)
    return Parts(values, jnp.arange(frames) * hop < length, lambda v: v.reshape(-1, sound.shape[1])[: len(sound)])


SPACES = {"waveform": _waveform, "spectrum": _spectrum, "frames": _frames}


def sound_editor(
    model: Model, clip: EncodedClip, arm: Arm, settings: Settings, seed: int
) -> Callable[[Array | float, Array | bool], Sound]:
    """Order the parts of a clip's sound by an arm.

    Args:
        model, clip: what is explained.
        arm: in one of `SPACES`.
        settings: rule and steps of the attribution.
        seed: of arms that draw random numbers.

    Returns:
        `edit(level, delete)`: the sound with all but its top share silenced, or with its top share silenced, `[n, c]`.
    """
    sound = decode_at_level(model, clip, clip.latent[None])[0]
    inside = (jnp.arange(len(sound)) < clip.length)[:, None]
    values, own, synthesise = SPACES[arm.space](sound, clip.length, model.codec.hop)
    silence = jnp.zeros_like(values)

    def logits(values: Float[Array, "s m f"]) -> Float[Array, "s k"]:
        sounds = jax.vmap(synthesise)(values) * inside
        return classify_audio(model, sounds, jnp.full(len(values), clip.length))

    def units() -> tuple[Int[Array, "t d"], int]:
        return jnp.arange(values.size).reshape(values.shape), values.size

    key = clip_key(clip, seed)
    path = METHODS[arm.method](
        lambda values: logits(values[None])[0, clip.target],
        values,
        silence,
        baselines=lambda: silence[None],
        valid=own,
        key=key,
        settings=settings,
        units=units,
    )

    def margins(edited: Array) -> Array:
        return margin(logits(edited), clip.target)[None]

    context = Context(own, own, margins, _no_latent, None, None, units, 1.0, key, settings)
    ranks = element_ranks(RANKINGS[arm.ranking](path.attribution, values, silence, context), own)
    return lambda level, delete: synthesise(values * (top_share(ranks, own, level) != delete)) * inside


def _no_latent(*_: Any) -> Any:
    raise AudexError("a ranking that optimises a mask through the codec edits latents, not sounds; choose another one")


@compile_step(static_argnames=("arm", "settings", "chunk"))
def score_sound_edits(
    model: Model,
    clip: EncodedClip,
    seed: int,
    levels: np.ndarray,
    delete: np.ndarray,
    arm: Arm,
    settings: Settings,
    chunk: int,
) -> EditScores:
    """Silence parts of the clip's sound in the order of an arm, and classify what is left.

    Args:
        model, clip, seed, arm, settings: as in `sound_editor`.
        levels, delete: of the m edits, `[m]`.
        chunk: edits classified at once.
    """
    edit = sound_editor(model, clip, arm, settings, seed)

    def score(level: Array, removed: Array) -> EditScores:
        sounds, lengths = jax.vmap(edit)(level, removed), jnp.full(len(level), clip.length)
        moved = shifted(sounds, lengths, model.codec.hop // 2)
        logits = [classify_audio(model, sounds, lengths), classify_audio(model, *moved)]
        audio = edit_scores(jnp.stack(logits, 1), clip.target)
        none = edit_scores(jnp.full_like(logits[0], jnp.nan)[:, None], clip.target)
        latent = none._replace(label=jnp.full_like(none.label, -1))
        return jax.tree.map(lambda *domains: jnp.concatenate(domains, 1), latent, audio)

    return in_chunks(score, (levels, delete), chunk)
