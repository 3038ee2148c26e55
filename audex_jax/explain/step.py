"""The compiled step that explains a batch: one pure function of (weights, audio, settings).

From the waveform to the re-classified explanation: encode, classify, attribute, keep and delete, decode, encode and
classify what was decoded. Nothing in it crosses clips, so it can be mapped over devices.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.attribution import integrated_gradients
from audex_jax.attribution.chunks import for_each
from audex_jax.attribution.integrated_gradients import ends, with_gap
from audex_jax.classifiers.latent import LatentClassifier, in_bfloat16
from audex_jax.codecs.encodec import Encodec
from audex_jax.core.settings import FILLERS as FILLERS
from audex_jax.core.settings import REFINED as REFINED
from audex_jax.core.settings import REFINED_FROM as REFINED_FROM
from audex_jax.core.settings import Settings as Settings
from audex_jax.core.types import Array, Audio, ClipLatent, ClipValid, Float, Int, Latent, Logits, Valid
from audex_jax.devices.mapping import few_at_a_time
from audex_jax.masking.edit import RANKINGS, edit
from audex_jax.masking.optimise import margin, refine

NOISE_RMS = 0.05  # of the noise filler, for codecs that do not bring clips to unit loudness


class Model(NamedTuple):
    """Everything that the compiled step needs of a bundle.

    Attributes:
        codec, classifier: the two modules.
        mean_latent: mean over the training set's frames, `[d]`.
    """

    codec: Encodec
    classifier: LatentClassifier
    mean_latent: Float[Array, " d"]


class BatchExplanation(NamedTuple):
    """What the compiled step returns for a batch; `reconstruction`, `kept` and `deleted` are audio `[b, n, c]`.

    Attributes:
        logits: of the clips, `[b, k]`.
        target: class that was explained, `[b]`.
        attribution, score, mask: per latent element, `[b, t, d]`; the mask is the top share by score.
        value, baseline_value, gap: target logit at the clip and at the baseline, and the completeness gap, `[b]`.
        points, overlap: of the path, `[b]`; see `PathAttribution`.
        kept_logits, deleted_logits: of the edited latents, `[b, k]`.
        reconstruction, kept, deleted: decoded audio of the whole latent, of what was kept, and of the rest.
        heard: logits of those three after encoding their audio again, `[3, b, k]`.
        valid: frames that belong to the clip, `[b, t]`.
    """

    logits: Logits
    target: Int[Array, " b"]
    attribution: Float[Array, "b t d"]
    score: Float[Array, "b t d"]
    mask: Array
    value: Float[Array, " b"]
    baseline_value: Float[Array, " b"]
    gap: Float[Array, " b"]
    points: Int[Array, " b"]
    overlap: Float[Array, " b"]
    kept_logits: Logits
    deleted_logits: Logits
    reconstruction: Audio
    kept: Audio
    deleted: Audio
    heard: Float[Array, "three b k"]
    valid: Valid


def valid_frames(lengths: Int[Array, " b"], frames: int, hop: int) -> Valid:
    """True for the frames that clips of `lengths` samples have, `[b, t]`."""
    return jnp.arange(frames) < -(-jnp.asarray(lengths)[:, None] // hop)


def loudness_of(codec: Encodec, audio: Audio, lengths: Int[Array, " b"]) -> Float[Array, "b 1 1"]:
    """Loudness scale of zero-padded clips, counted over their own samples only."""
    share = jnp.asarray(lengths)[:, None, None] / audio.shape[1]
    return codec.loudness(audio) / jnp.sqrt(share) if codec.config.normalize else codec.loudness(audio)


def latent_of(codec: Encodec, audio: Audio, lengths: Int[Array, " b"], bandwidth: float | None) -> Latent:
    """The latent that a classifier reads: continuous, or dequantised at `bandwidth` kilobits per second."""
    latent = codec.encode(audio / loudness_of(codec, audio, lengths))
    return latent if bandwidth is None else codec.quantize(latent, bandwidth)


def output_gain(codec: Encodec, decoded: Audio, audio: Audio, lengths: Int[Array, " b"]) -> Float[Array, "b 1 1"]:
    """Gain that gives a clip's plain reconstruction the clip's own loudness; an explanation gets the same.

    A codec that takes the loudness out of a clip knows it exactly, and need not leave it to the decoder.

    Args:
        codec: of the latents.
        decoded: the decoded whole latents, zero beyond the clips' own samples, `[b, n, c]`.
        audio: the clips, `[b, n, c]`.
        lengths: samples of each clip, `[b]`.
    """
    if not codec.config.normalize:
        return jnp.ones((len(audio), 1, 1))
    return loudness_of(codec, audio, lengths) / loudness_of(codec, decoded, lengths)


def sounds_of(codec: Encodec, latents: Latent, lengths: Int[Array, " b"], samples: int) -> Audio:
    """Latents decoded to `samples` samples, silent beyond each clip's own `lengths`, at the decoder's loudness."""
    inside = (jnp.arange(samples) < jnp.asarray(lengths)[:, None])[..., None]
    return codec.decode(latents)[:, :samples] * inside


def logits_of_audio(model: Model, audio: Audio, lengths: Int[Array, " b"], bandwidth: float | None) -> Logits:
    """What the classifier hears in clips: encode them and classify their latents."""
    latent = latent_of(weights.codec, audio, lengths, bandwidth)
    return jax.vmap(weights.classifier)(latent, valid_frames(lengths, latent.shape[1], weights.codec.config.hop))


def logits_both_ways(
    model: Model,
    latents: Latent,
    valid: ClipValid,
    length: Int[Array, ""],
    samples: int,
    bandwidth: float | None,
) -> Float[Array, "two b k"]:
    """Logits of edits of one clip's latent: as they are, and after decoding, encoding and classifying their audio."""
    lengths = jnp.full(len(latents), length)
    sounds = sounds_of(weights.codec, latents, lengths, samples)
    both = jnp.concatenate([latents, latent_of(weights.codec, sounds, lengths, bandwidth)])  # classified in one go
    return jax.vmap(lambda z: weights.classifier(z, valid))(both).reshape(2, len(latents), -1)


def element_scores(
    model: Model,
    ranking: str,
    attribution: Float[Array, "t d"],
    latent: ClipLatent,
    valid: ClipValid,
    length: Int[Array, ""],
    target: Int[Array, ""],
    filler: ClipLatent,
    samples: int,
    refinement: int,
) -> Float[Array, "t d"]:
    """What ranks the elements of one clip; all shares are cut from it.

    `refined` is judged as latents and through the audio, which is encoded without the quantiser: that has no gradient.
    """
    score = RANKINGS[REFINED_FROM if ranking == REFINED else ranking](attribution, latent, filler)
    if ranking != REFINED:
        return score

    def margins(latents: Latent) -> Float[Array, "two b"]:
        return margin(logits_both_ways(weights, latents, valid, length, samples, None), target)

    return refine(margins, latent, score, valid, filler, steps=refinement)


def path_function(
    classifier: LatentClassifier, valid: ClipValid, target: Int[Array, ""]
) -> tuple[Callable[[Array], Float[Array, ""]], Callable[[ClipLatent], Array] | None]:
    """A clip's logit of `target` as `integrated_gradients` wants it: `f`, and the affine map ahead of it or None."""
    if classifier.config.companding:
        return lambda z: classifier(z, valid)[target], None
    return lambda front: classifier.rest(front, valid)[target], classifier.front


def map_clips(one: Callable[..., Any], *arrays: Array) -> Any:
    """`jax.vmap(one)(*arrays)` for a function of one clip that classifies it or its path, in cache-sized parts."""
    return few_at_a_time(lambda clips: for_each(one)(*clips), arrays)


@functools.partial(jax.jit, static_argnames=("settings", "bandwidth"))
def explain_step(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    target: Int[Array, " b"],
    settings: Settings,
    bandwidth: float | None,
) -> BatchExplanation:
    """Explain a batch of clips, and judge the explanations by what they sound like.

    Args:
        weights: of the bundle.
        audio: zero-padded clips `[b, n, c]`.
        lengths: samples of each clip, `[b]`.
        target: class to explain, `[b]`; -1 explains the predicted one.
        settings: how to explain.
        bandwidth: of the latent that the classifier reads; None for the continuous one.
    """
    codec, classifier, _ = weights
    latent = latent_of(codec, audio, lengths, bandwidth)
    valid = valid_frames(lengths, latent.shape[1], codec.config.hop)
    logits = jax.vmap(classifier)(latent, valid)
    target = jnp.where(target < 0, logits.argmax(-1), target)
    filler = filler_latent(weights, latent.shape[1], settings)

    differentiated = in_bfloat16(classifier) if settings.precision == "bfloat16" else classifier

    def explain(clip, clip_valid, clip_target):
        f, affine = path_function(differentiated, clip_valid, clip_target)
        how = {"rule": settings.rule, "steps": settings.steps, "chunk": settings.chunk}
        path = integrated_gradients(f, clip, filler, affine=affine, **how)
        if settings.precision == "float32":
            return path
        exact = with_gap(path.attribution, *ends(lambda z: classifier(z, clip_valid)[clip_target], clip, filler), 0)
        return exact._replace(points=path.points, overlap=path.overlap)

    path = map_clips(explain, latent, valid, target)

    def rank(attribution, clip, own, length, wanted):
        fixed = (filler, audio.shape[1], settings.refinement)
        return element_scores(weights, settings.ranking, attribution, clip, own, length, wanted, *fixed)

    score = jax.vmap(rank)(path.attribution, latent, valid, jnp.asarray(lengths), target)
    listened = listen(weights, audio, lengths, latent, score, settings.keep, settings, bandwidth)
    found = path._asdict() | listened._asdict()
    return BatchExplanation(logits=logits, target=target, valid=valid, score=score, **found)


class Listened(NamedTuple):
    """What one share of kept elements sounds like and is heard as; fields as in `BatchExplanation`."""

    mask: Array
    kept_logits: Logits
    deleted_logits: Logits
    reconstruction: Audio
    kept: Audio
    deleted: Audio
    heard: Float[Array, "three b k"]


def listen(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    latent: Latent,
    score: Float[Array, "b t d"],
    keep: float | Array,
    settings: Settings,
    bandwidth: float | None,
) -> Listened:
    """Keep the share `keep` of scored latents, decode that and the rest, and classify what is heard."""
    codec, classifier, _ = weights
    samples, hop = audio.shape[1], codec.config.hop
    valid = valid_frames(lengths, latent.shape[1], hop)
    filler = filler_latent(weights, latent.shape[1], settings)
    edited = jax.vmap(edit, (0, 0, 0, None, None))(latent, score, valid, keep, filler)
    latents = jnp.concatenate([latent, edited.kept, edited.deleted])
    sounds = sounds_of(codec, latents, jnp.tile(lengths, 3), samples).reshape(3, *audio.shape)
    sounds *= output_gain(codec, sounds[0], audio, lengths)
    heard = latent_of(codec, sounds.reshape(-1, *audio.shape[1:]), jnp.tile(lengths, 3), bandwidth)
    judged = jnp.concatenate([edited.kept, edited.deleted, heard])  # together: one classifier to compile, not three
    logits = map_clips(classifier, judged, jnp.tile(valid, (5, 1))).reshape(5, len(audio), -1)
    return Listened(
        mask=edited.mask,
        kept_logits=logits[0],
        deleted_logits=logits[1],
        reconstruction=sounds[0],
        kept=sounds[1],
        deleted=sounds[2],
        heard=logits[2:],
    )


@functools.partial(jax.jit, static_argnames=("settings", "bandwidth"))
def listen_step(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    score: Float[Array, "b t d"],
    keep: float | Array,
    settings: Settings,
    bandwidth: float | None,
) -> Listened:
    """Listen to clips that were explained already at another share of kept elements; compiled once for all shares.

    Args:
        weights, audio, lengths, settings, bandwidth: as in `explain_step`; of the settings only the filler and its
            seed are used.
        score: what `explain_step` found, anything beyond the clips' own frames, `[b, t, d]`.
        keep: share of the elements to keep.
    """
    latent = latent_of(weights.codec, audio, lengths, bandwidth)
    return listen(weights, audio, lengths, latent, score, keep, settings, bandwidth)


def filler_latent(model: Model, frames: int, settings: Settings) -> Float[Array, "t d"]:
    """The latent that stands for "nothing there", `[t, d]`; also the baseline of the path."""
    codec, width = weights.codec, weights.codec.config.dim
    if settings.filler == "zero":
        return jnp.zeros((frames, width))
    if settings.filler == "mean":
        return jnp.broadcast_to(weights.mean_latent, (frames, width))
    shape = (1, frames * codec.config.hop, codec.config.channels)
    noise = jax.random.normal(jax.random.key(settings.seed), shape)
    return codec.encode(noise if codec.config.normalize else NOISE_RMS * noise)[0]
