"""The compiled step that explains a batch: one pure function of (model, audio, settings).

From the waveform to the re-encoded explanation: encode, classify, attribute, rank, edit, decode, encode and classify
again. Nothing in it crosses clips, so it can be mapped over devices.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.attribution.path import PathAttribution, ends, with_gap
from audex_jax.classifiers.transformer import in_bfloat16
from audex_jax.core.host import compile_step
from audex_jax.core.level import gain_of, sixteen_bits
from audex_jax.core.protocols import ScalarFunction
from audex_jax.core.registry import METHODS, RANKINGS
from audex_jax.core.settings import FILLERS, Settings
from audex_jax.core.types import Array, Audio, Float, Int, Latent, Logits, Valid
from audex_jax.explain.control import Control
from audex_jax.explain.mask_network import hidden_evidence
from audex_jax.explain.model import (
    DOMAINS,
    EncodedClip,
    Model,
    classify_sounds,
    decode_clips,
    encode_and_classify,
    explained_logits,
    features_of,
    filler_latent,
    in_blocks,
    level_gain,
    reencode,
    tells_features,
)
from audex_jax.explain.units import sound_units
from audex_jax.masking.edit import edit
from audex_jax.masking.optimise import contrast, margin
from audex_jax.masking.rank import NEVER, Context

PATHS = 8  # clips that are attributed at once: what their points need then stays in a TPU's VMEM
SOUNDS = ("reconstruction", "explanation", "residual")  # what is decoded of each clip, in this order


class Sounds(NamedTuple):
    """What one share of kept elements sounds like; the axis s is `SOUNDS`.

    Attributes:
        mask: elements that are kept, `[b, t, d]`.
        audio: `[b, s, n, c]`; samples of 16 bits.
        gain: that keeps all of a clip's sounds, and the clip itself, within full scale, `[b]`; in `audio` already.
        logits: in each of `explain.model.DOMAINS`, `[b, w, s, k]`.
    """

    mask: Array
    audio: Float[Array, "b s n c"]
    gain: Float[Array, " b"]
    logits: Float[Array, "b w s k"]


class BatchExplanation(NamedTuple):
    """What the compiled step returns for a batch.

    Attributes:
        logits: of the clips, `[b, k]`.
        target: class that is explained, `[b]`.
        versus: class that it is explained against, `[b]`; -1 for none in particular.
        valid: frames that belong to the clip, `[b, t]`.
        path: the attribution of each clip.
        score: of every element, `[b, t, d]`; the mask is the top share by score.
        sounds: what was kept and what was not, in sound.
        control: what became of a label that is not in the clip; None where no control was made.
    """

    logits: Logits
    target: Int[Array, " b"]
    versus: Int[Array, " b"]
    valid: Valid
    path: PathAttribution
    score: Float[Array, "b t d"]
    sounds: Sounds
    control: Control | None = None

    def controlled(self, target: Int[Array, " b"], wrong: "BatchExplanation") -> "BatchExplanation":
        """With the control that came of explaining `target`, the `wrong_targets` of these clips, likewise."""
        logits = wrong.sounds.logits[..., DOMAINS.index("audio"), SOUNDS.index("explanation"), :]
        return self._replace(control=Control(target, logits, (wrong.score > NEVER).any((-2, -1))))


@compile_step(static_argnames="settings")
def explain_step(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    target: Int[Array, " b"],
    settings: Settings,
    versus: Int[Array, " b"] | int = -1,
) -> BatchExplanation:
    """Explain a batch of clips, and classify what the explanations sound like.

    Args:
        model: codec and classifier.
        audio: zero-padded clips `[b, n, c]`.
        lengths: samples of each clip, `[b]`.
        target: class to explain, `[b]`; -1 explains the predicted one.
        settings: how to explain.
        versus: class to explain the target against, `[b]`; -1 for none in particular.
    """
    clips = encode_and_classify(model, audio, lengths, target, versus)
    filler = filler_latent(model, clips.latent.shape[1], settings)
    path = in_blocks(jax.vmap(lambda clip: attribute(model, clip, settings, filler)), clips, size=PATHS)
    order = jax.vmap(lambda clip, attribution: rank(model, clip, settings, attribution, filler))
    score = in_blocks(order, clips, path.attribution)
    sounds = synthesize(model, clips, score, settings.keep, filler)
    return BatchExplanation(clips.logits, clips.target, clips.versus, clips.valid, path, score, sounds)


@compile_step(static_argnames="settings")
def resynthesize_step(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    score: Float[Array, "b t d"],
    keep: float | Array,
    settings: Settings,
) -> Sounds:
    """What clips that were explained already sound like at another share; compiled once for all shares.

    Args:
        model, audio, lengths, settings: as in `explain_step`; of the settings only the filler and its seed are used.
        score: what `explain_step` found, anything beyond the clips' own frames, `[b, t, d]`.
        keep: share of the elements to keep.
    """
    clips = encode_and_classify(model, audio, lengths)
    return synthesize(model, clips, score, keep, filler_latent(model, clips.latent.shape[1], settings))


def attribute(
    model: Model,
    clip: EncodedClip,
    settings: Settings,
    baseline: Float[Array, "t d"],
) -> PathAttribution:
    """Attribution of one clip by `settings.method`: of the target's logit, less that of the class that it is against.

    Args:
        model, clip: what is explained.
        settings: how to attribute.
        baseline: what stands for nothing, `[t, d]`.
    """

    def number(model: Model) -> ScalarFunction:
        logits = explained_logits(model, clip)
        return lambda latent: contrast(logits(latent), clip.target, clip.versus)

    def baselines() -> Latent:
        others = (dataclasses.replace(settings, filler=filler) for filler in FILLERS)
        return jnp.stack([filler_latent(model, len(baseline), other) for other in others])

    method = METHODS[settings.method]
    how = {"baselines": baselines, "valid": clip.valid, "key": clip_key(clip, settings.seed), "settings": settings}
    how["units"] = functools.partial(sound_units, model.codec, len(clip.latent))
    if settings.precision == "float32":
        return method(number(model), clip.latent, baseline, **how)
    path = method(number(model._replace(classifier=in_bfloat16(model.classifier))), clip.latent, baseline, **how)
    exact = with_gap(path.attribution, *ends(number(model), clip.latent, baseline), 0)
    return exact._replace(points=path.points, overlap=path.overlap)


def rank(
    model: Model,
    clip: EncodedClip,
    settings: Settings,
    attribution: Float[Array, "t d"],
    filler: Float[Array, "t d"],
) -> Float[Array, "t d"]:
    """Score `[t, d]` that orders the elements of one clip, by `settings.ranking`."""

    def margins(latents: Latent) -> Float[Array, "w m"]:
        as_they_are = margin(jax.vmap(explained_logits(model, clip))(latents), clip.target, clip.versus)
        return jnp.stack([as_they_are, resound(latents, False)[1]])

    def features(latents: Latent, rate: float, key: Array) -> tuple[Array, Array]:
        hidden, logits = features_of(model.classifier, latents, clip.valid, rate, key)
        return hidden, margin(logits, clip.target, clip.versus)

    def resound(latents: Latent, moved: Any) -> tuple[Latent, Array]:
        found = reencode(model, clip, latents, moved * (model.codec.hop // 2))
        return found.latent, margin(found.logits, clip.target, clip.versus)

    def amortised() -> tuple[Array, Array]:
        hidden = hidden_evidence(model.classifier, clip.latent, clip.target, clip.valid)
        return model.mask_network(clip.latent, hidden, clip.target, clip.valid)

    key = clip_key(clip, settings.seed)
    rate = model.codec.sample_rate / model.codec.hop
    facts = Context(
        clip.valid,
        clip.sounding,
        margins,
        resound,
        features if tells_features(model.classifier) else None,
        None if model.mask_network is None else amortised,
        functools.partial(sound_units, model.codec, len(clip.latent)),
        rate,
        key,
        settings,
    )
    return RANKINGS[settings.ranking](attribution, clip.latent, filler, facts)


def synthesize(
    model: Model, clips: EncodedClip, score: Float[Array, "b t d"], keep: float | Array, filler: Float[Array, "t d"]
) -> Sounds:
    """Keep the share `keep` of the elements, decode that, the residual and the whole, and classify all three."""
    edited = jax.vmap(edit, (0, 0, 0, 0, None, None))(clips.latent, score, clips.valid, clips.sounding, keep, filler)
    latents = jnp.stack([clips.latent, edited.kept, edited.residual], 1)
    count, kinds = latents.shape[:2]
    latents, samples = latents.reshape(count * kinds, *latents.shape[2:]), clips.audio.shape[1]
    valid, lengths = jnp.repeat(clips.valid, kinds, 0), jnp.repeat(clips.length, kinds)
    audio = decode_clips(model.codec, latents, lengths, samples)
    audio = audio.reshape(count, kinds, samples, -1)
    audio = audio * level_gain(model.codec, audio[:, 0], clips.audio, clips.length)[:, None]
    gain = gain_of(jnp.maximum(jnp.abs(audio).max((1, 2, 3)), jnp.abs(clips.audio).max((1, 2))))
    audio = sixteen_bits(audio * gain[:, None, None, None])
    logits = classify_sounds(model, latents, audio.reshape(count * kinds, samples, -1), valid, lengths).logits
    return Sounds(edited.mask, audio, gain, logits.reshape(len(DOMAINS), count, kinds, -1).swapaxes(0, 1))


def clip_key(clip: EncodedClip, seed: int) -> Array:
    """Random key of one clip. It depends on the clip and the seed alone, not on the clip's place in a batch."""
    peak = jax.lax.bitcast_convert_type(jnp.abs(clip.audio).max().astype(jnp.float32), jnp.uint32)
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), peak), clip.length)
