"""The compiled steps of an evaluation, for one clip: look at it, order its elements, judge what edits leave.

The clips go through one at a time and the many edits of each are the batch. So no clip's result can depend on
which others were evaluated with it, and memory depends on `chunk`, the edits judged at once, alone.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution import gradient_x_input, integrated_gradients, occlusion, spectrum, unit_map
from audex_jax.attribution.chunks import chunk_index
from audex_jax.core.types import Array, Attribution, ClipLatent, ClipValid, Float, Int
from audex_jax.evaluation.local_metrics import infidelity, max_sensitivity
from audex_jax.explain.step import (
    Model,
    element_scores,
    latent_of,
    logits_both_ways,
    logits_of_audio,
    output_gain,
    sounds_of,
    valid_frames,
)
from audex_jax.masking.edit import RANKINGS, element_ranks, fill, top_share

INFIDELITY_NOISE, INFIDELITY_DRAWS = 0.2, 32
SENSITIVITY_NOISE, SENSITIVITY_DRAWS = 0.02, 4
SOUND_RANKING = "weighted"  # of the input methods' attributions
PATH_CHUNK = 8  # fixed: the sum over the path, and with it the order of near ties, must not depend on a memory setting


class EncodedClip(NamedTuple):
    """One clip as the model sees it.

    Attributes:
        length: its samples.
        latent, valid: what the classifier reads, `[t, d]`, and which frames of it are the clip's own, `[t]`.
        logits: of the clip, `[k]`.
        target: the predicted class; what is explained.
        sound: the latent decoded again, at the clip's loudness, `[n, c]`; what input methods edit.
    """

    length: Int[Array, ""]
    latent: ClipLatent
    valid: ClipValid
    logits: Float[Array, " k"]
    target: Int[Array, ""]
    sound: Float[Array, "n c"]


class Judgement(NamedTuple):
    """What the classifier makes of `m` edits, as latents and through the audio: class, target's probability, and that
    probability after a second softmax (see `average_drop_speechbrain`).

    Edits of the audio itself have no latent; there the class is -1 and the probabilities NaN.
    """

    label: Int[Array, "m w"]
    probability: Float[Array, "m w"]
    softened: Float[Array, "m w"]


def judged(logits: Float[Array, "*m k"], target: Array) -> Judgement:
    """Class and both probabilities of the target that logits give."""
    shares = jax.nn.softmax(logits)
    return Judgement(logits.argmax(-1), shares[..., target], jax.nn.softmax(shares)[..., target])


@functools.partial(jax.jit, static_argnames="bandwidth")
def look(model: Model, audio: Float[Array, "n c"], length: Array, bandwidth: float | None) -> EncodedClip:
    """Encode and classify one zero-padded clip of `length` samples."""
    lengths, codec = jnp.asarray(length)[None], weights.codec
    latent = latent_of(codec, audio[None], lengths, bandwidth)
    valid = valid_frames(lengths, latent.shape[1], codec.config.hop)
    logits = weights.classifier(latent[0], valid[0])
    sound = sounds_of(codec, latent, lengths, len(audio))
    sound *= output_gain(codec, sound, audio[None], lengths)
    return EncodedClip(lengths[0], latent[0], valid[0], logits, logits.argmax(), sound[0])


class Orders(NamedTuple):
    """Ranks of a clip's elements by each method, `[m, t, d]`, and the attribution that most of them start from."""

    ranks: Int[Array, "m t d"]
    attribution: Attribution
    gap: Float[Array, ""]
    difference: Float[Array, ""]


@functools.partial(jax.jit, static_argnames=("methods", "rule", "steps", "refinement"))
def order_elements(
    model: Model,
    clip: EncodedClip,
    baseline: ClipLatent,
    methods: tuple[str, ...],
    rule: str,
    steps: int,
    refinement: int,
) -> Orders:
    """Order the latent elements by each method that draws no random numbers.

    Args:
        weights: of the model.
        clip: from `look`.
        baseline: of the path, and the filler that `refined` is refined for, `[t, d]`.
        methods: names from `plan.LATENT_METHODS`, without `random`.
        rule, steps: quadrature rule and points on the path.
        refinement: gradient steps of `refined`.
    """
    f = lambda z: weights.classifier(z, clip.valid)[clip.target]  # noqa: E731
    path = integrated_gradients(f, clip.latent, baseline, rule=rule, steps=steps, chunk=PATH_CHUNK)

    def score(method: str) -> Float[Array, "t d"]:
        if method == "gradient-x-input":
            return gradient_x_input(f, clip.latent, baseline)
        own = (path.attribution, clip.latent, clip.valid, clip.length, clip.target)
        return element_scores(weights, method, *own, baseline, len(clip.sound), refinement)

    ranks = [element_ranks(score(method), clip.valid) for method in methods]
    empty = jnp.zeros((0, *clip.latent.shape), jnp.int32)
    return Orders(jnp.stack(ranks) if ranks else empty, path.attribution, path.gap, path.value - path.baseline_value)


@functools.partial(jax.jit, static_argnames=("rule", "steps"))
def local_scores(
    model: Model, clip: EncodedClip, baseline: ClipLatent, attribution: Attribution, key: Array, rule: str, steps: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Infidelity of a clip's Integrated Gradients under noise, and their largest change under much weaker noise.

    Noise is measured in standard deviations of the clip's latent: `INFIDELITY_NOISE` and `SENSITIVITY_NOISE`.
    """
    f = lambda z: weights.classifier(z, clip.valid)[clip.target]  # noqa: E731
    own = clip.valid[:, None]
    count = own.sum() * clip.latent.shape[1]
    mean = (clip.latent * own).sum() / count
    spread = jnp.sqrt((jnp.square(clip.latent - mean) * own).sum() / count)
    first, second = jax.random.split(key)
    strong = INFIDELITY_NOISE * spread * jax.random.normal(first, (INFIDELITY_DRAWS, *clip.latent.shape)) * own
    weak = SENSITIVITY_NOISE * spread * jax.random.normal(second, (SENSITIVITY_DRAWS, *clip.latent.shape)) * own

    def attribute(z: ClipLatent) -> Attribution:
        return integrated_gradients(f, z, baseline, rule=rule, steps=steps, chunk=PATH_CHUNK).attribution

    factor = clip.latent - baseline
    return (
        infidelity(f, clip.latent, attribution, strong, factor=factor, scaled=True),
        max_sensitivity(attribute, clip.latent, weak, own=attribution),
    )


@jax.jit
def random_order(key: Array, clip: EncodedClip) -> Int[Array, "t d"]:
    """Ranks of a clip's elements in random order."""
    return element_ranks(jax.random.uniform(key, clip.latent.shape), clip.valid)


@functools.partial(jax.jit, static_argnames=("bandwidth", "chunk"))
def judge_latent_edits(
    model: Model,
    clip: EncodedClip,
    ranks: Int[Array, "o t d"],
    fillers: Float[Array, "f t d"],
    variants: tuple[np.ndarray, ...],
    bandwidth: float | None,
    chunk: int,
) -> Judgement:
    """Judge edits of the clip's latent.

    Args:
        weights, bandwidth: of the model.
        clip: from `look`.
        ranks: orders of the elements, `[o, t, d]`.
        fillers: what stands where elements are taken out, `[f, t, d]`.
        variants: for each edit the number of its order and its filler, its level, and whether the top share is deleted
            (rather than kept), `[m]` each; see `plan.Variants`.
        chunk: edits judged at once.

    Returns:
        `Judgement` of the m edits.
    """

    def judge(order: Array, filler: Array, level: Array, delete: Array) -> Judgement:
        masks = jax.vmap(top_share, (0, None, 0))(ranks[order], clip.valid, level)
        edits = jax.vmap(fill, (None, 0, 0))(clip.latent, masks != delete[:, None, None], fillers[filler])
        logits = logits_both_ways(weights, edits, clip.valid, clip.length, len(clip.sound), bandwidth)
        return judged(jnp.moveaxis(logits, 0, 1), clip.target)

    return in_chunks(judge, variants, chunk)


def in_chunks(judge: Callable[..., Judgement], variants: tuple[np.ndarray, ...], chunk: int) -> Judgement:
    """Judge `chunk` variants at a time, one chunk after the other."""
    count = len(variants[0])
    index, _ = chunk_index(count, chunk)
    found = jax.lax.map(lambda part: judge(*part), tuple(jnp.asarray(v)[index] for v in variants))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:count], found)


def sound_editor(
    model: Model, clip: EncodedClip, key: Array, method: str, rule: str, steps: int
) -> Callable[[Array | float, Array | bool], Float[Array, "n c"]]:
    """Order the parts of the clip's sound by an input method.

    The sound is the decoded latent, so that the codec's loss weighs on input methods as on latent ones. Gradients pass
    the encoder without the quantiser, as published.

    Args:
        weights: of the model.
        clip: from `look`.
        key: for the random methods.
        method: of `plan.INPUT_METHODS`.
        rule, steps: quadrature rule and points on the path.

    Returns:
        `edit(level, delete)`: the sound with all but its top share silenced, or with its top share silenced, `[n, c]`.
    """
    codec, lengths = weights.codec, clip.length[None]
    inside = jnp.arange(len(clip.sound)) < clip.length

    def f(sound: Float[Array, "n c"]) -> Float[Array, ""]:
        latent = latent_of(codec, sound[None], lengths, None)[0]
        return weights.classifier(latent, clip.valid)[clip.target]

    if method.startswith("spectrum"):
        window = min(512, len(clip.sound) // 4 * 4)
        parts, synthesise = spectrum(clip.sound, window)
        own = jnp.arange(len(parts)) * (window // 4) < clip.length
    else:
        parts, synthesise, own = clip.sound, lambda sound: sound, inside

    if method.endswith("random"):
        score = jax.random.uniform(key, parts.shape)
    elif method == "audio-frames":
        units = unit_map("segment", *parts.shape, size=codec.config.hop)
        score = occlusion(f, parts, 0.0, units=units)
    else:
        g = lambda p: f(synthesise(p) * inside[:, None])  # noqa: E731
        path = integrated_gradients(g, parts, 0.0, rule=rule, steps=steps, chunk=PATH_CHUNK)
        score = RANKINGS[SOUND_RANKING](path.attribution, parts, jnp.zeros_like(parts))
    ranks = element_ranks(score, own)

    def edit(level: Array | float, delete: Array | bool) -> Float[Array, "n c"]:
        return synthesise(parts * (top_share(ranks, own, level) != delete)) * inside[:, None]

    return edit


@functools.partial(jax.jit, static_argnames=("method", "rule", "steps", "bandwidth", "chunk"))
def judge_sound_edits(
    model: Model,
    clip: EncodedClip,
    key: Array,
    levels: np.ndarray,
    delete: np.ndarray,
    method: str,
    rule: str,
    steps: int,
    bandwidth: float | None,
    chunk: int,
) -> Judgement:
    """Silence parts of the clip's sound in the order of an input method, and judge what is left, quantiser included.

    Args:
        weights, bandwidth: of the model.
        levels, delete: of the m edits, `[m]`.
        clip, key, method, rule, steps: as in `sound_editor`.
        chunk: edits judged at once.
    """
    edit = sound_editor(weights, clip, key, method, rule, steps)

    def judge(level: Array, removed: Array) -> Judgement:
        logits = logits_of_audio(weights, jax.vmap(edit)(level, removed), jnp.full(len(level), clip.length), bandwidth)
        heard = judged(logits, clip.target)
        nothing = judged(jnp.full_like(logits, jnp.nan), clip.target)._replace(label=jnp.full_like(heard.label, -1))
        return jax.tree.map(lambda *ways: jnp.stack(ways, 1), nothing, heard)

    return in_chunks(judge, (levels, delete), chunk)
