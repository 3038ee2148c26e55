"""The model that is explained, and the one way from edited latents to its logits.

A classifier reads latents or audio; nothing outside this file asks which. A latent `z` is classified in three domains:

    latent    C(z)                  or f(gain * decode(z)) for a classifier f of audio
    audio     C(encode(decode(z)))  or f(gain * decode(z)): what the sound that is handed out is classified as
    shifted   the same, of the sound moved by half a hop: what was written into the codec's grid, not into the sound, is
              gone
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from audex_jax.core.clips import sounding_frames, valid_frames
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import AMORTISED, Settings, without_gradient, without_path
from audex_jax.core.types import Array, Audio, ClipLatent, ClipValid, Float, Int, Latent, Logits, Valid

DOMAINS = ("latent", "audio", "shifted")
TINY = 1e-8  # added to a loudness, as EnCodec does
BLOCK = 32  # sounds that a codec is given at once: more take more memory, and on a TPU more time each


class Model(NamedTuple):
    """Everything that the compiled step needs of a bundle; a pytree.

    Attributes:
        codec: a `core.protocols.Codec`.
        classifier: a `core.protocols.Classifier`.
        mean_latent: mean over the training set's frames, `[d]`.
        mask_network: a `explain.mask_network.MaskNetwork`, which the ranking `amortised` asks; None for none.
    """

    codec: Any
    classifier: Any
    mean_latent: Float[Array, " d"]
    mask_network: Any = None


class EncodedClip(NamedTuple):
    """One clip as the model sees it; of a batch, every field has a leading axis b.

    Attributes:
        audio: zero-padded, `[n, c]`.
        length: its own samples.
        latent: `[t, d]`.
        valid: the clip's own frames, `[t]`.
        sounding: those of them whose elements are ranked and counted, `[t]`; see `core.clips.sounding_frames`.
        gain: what decoded audio is multiplied by before a classifier of audio reads it, `[1, 1]`.
        logits: of the clip, `[k]`.
        target: class that is explained.
        versus: class that it is explained against; -1 for none in particular.
    """

    audio: Float[Array, "n c"]
    length: Int[Array, ""]
    latent: ClipLatent
    valid: ClipValid
    sounding: ClipValid
    gain: Float[Array, "1 1"]
    logits: Float[Array, " k"]
    target: Int[Array, ""]
    versus: Int[Array, ""]


class Resynthesis(NamedTuple):
    """What m latents sound like and what they are classified as in each of `DOMAINS`, `[m, n, c]` and `[w, m, k]`."""

    audio: Audio
    logits: Float[Array, "w m k"]


class Reencoded(NamedTuple):
    """What m sounds are encoded and classified as, `[m, t, d]` and `[m, k]`."""

    latent: Latent
    logits: Logits


def encode_and_classify(
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    target: Int[Array, " b"] | int = -1,
    versus: Int[Array, " b"] | int = -1,
) -> EncodedClip:
    """Encode and classify zero-padded clips.

    Args:
        model: the model.
        audio: `[b, n, c]`.
        lengths: samples of each clip, `[b]`.
        target: class to explain, `[b]`; -1 for the predicted one.
        versus: class to explain it against, `[b]`; -1, or the target itself, for none in particular.

    Returns:
        `EncodedClip` with a leading axis b.
    """
    audio, lengths = jnp.asarray(audio), jnp.asarray(lengths)
    latent = encode_clips(model.codec, audio, lengths)
    valid = valid_frames(model.codec, lengths, latent.shape[1])
    gain = jnp.ones((len(audio), 1, 1))
    if model.classifier.reads == "audio":
        gain = level_gain(model.codec, decode_clips(model.codec, latent, lengths, audio.shape[1]), audio, lengths)
        logits = jax.vmap(model.classifier)(audio, own_samples(lengths, audio.shape[1]))
    else:
        logits = jax.vmap(model.classifier)(latent, valid)
    target = jnp.where(jnp.asarray(target) < 0, logits.argmax(-1), target)
    versus = jnp.where(target == versus, -1, versus)
    sounding = sounding_frames(model.codec, audio, valid)
    return EncodedClip(audio, lengths, latent, valid, sounding, gain, logits, target, versus)


def classify_audio(model: Model, audio: Audio, lengths: Int[Array, " b"]) -> Logits:
    """Logits `[b, k]` of zero-padded clips `[b, n, c]`."""
    return encode_and_classify(model, audio, lengths).logits


def resynthesize(
    model: Model,
    latents: Latent,
    valid: Valid,
    lengths: Int[Array, " m"],
    samples: int,
    level: Callable[[Audio], Audio] = lambda audio: audio,
) -> Resynthesis:
    """Decode latents, encode their audio again, and classify both.

    Args:
        model: the model.
        latents: `[m, t, d]`.
        valid, lengths: own frames and samples of each, `[m, t]` and `[m]`.
        samples: length of the audio.
        level: brings decoded audio `[m, n, c]` to the level of the recording.
    """
    return classify_sounds(model, latents, level(decode_clips(model.codec, latents, lengths, samples)), valid, lengths)


def classify_sounds(
    model: Model, latents: Latent, audio: Audio, valid: Valid, lengths: Int[Array, " m"]
) -> Resynthesis:
    """Encode the audio `[m, n, c]` that latents were decoded to again, and classify both; see `resynthesize`."""
    samples = audio.shape[1]
    sounds = [(audio, lengths), shifted(audio, lengths, model.codec.hop // 2)]
    both, both_lengths = (jnp.concatenate(parts) for parts in zip(*sounds, strict=True))
    if model.classifier.reads == "audio":
        logits = jnp.stack(jnp.split(jax.vmap(model.classifier)(both, own_samples(both_lengths, samples)), 2))
        return Resynthesis(audio, logits[jnp.array([0, 0, 1])])
    again = encode_clips(model.codec, both, both_lengths)
    read = jnp.concatenate([latents, again])  # one call: one classifier to compile
    own = jnp.concatenate([valid, valid_frames(model.codec, both_lengths, latents.shape[1])])
    return Resynthesis(audio, jnp.stack(jnp.split(jax.vmap(model.classifier)(read, own), 3)))


def shifted(audio: Audio, lengths: Int[Array, " b"], by: int | Array) -> tuple[Audio, Int[Array, " b"]]:
    """Clips that begin `by` samples later, at most all, and their new lengths; what passes the end is lost."""
    begun = (jnp.arange(audio.shape[1]) >= by)[:, None]
    return jnp.where(begun, jnp.roll(audio, by, 1), 0), jnp.minimum(lengths + by, audio.shape[1])


def score_edits(model: Model, clip: EncodedClip, latents: Latent) -> Float[Array, "w m k"]:
    """Logits of m edits of one clip's latent, `[m, t, d]`, in each of `DOMAINS`."""
    count = len(latents)
    valid, lengths = jnp.tile(clip.valid, (count, 1)), jnp.full(count, clip.length)
    return resynthesize(model, latents, valid, lengths, len(clip.audio), lambda audio: audio * clip.gain).logits


def reencode(model: Model, clip: EncodedClip, latents: Latent, shift: int | Array) -> Reencoded:
    """What the sounds of m edits of one clip's latent, `[m, t, d]`, moved by `shift` samples, are encoded as.

    One by one: mapped over clips, a codec then has one axis of clips. With a short one of edits beside it, a TPU takes
    twice the time, since its arrays are padded there.
    """
    found = [_reencode_one(model, clip, latent, shift) for latent in latents]
    return jax.tree.map(lambda *each: jnp.stack(each), *found)


def _reencode_one(model: Model, clip: EncodedClip, latent: ClipLatent, shift: int | Array) -> Reencoded:
    length, samples = clip.length[None], len(clip.audio)
    audio = decode_clips(model.codec, latent[None], length, samples)
    moved, length = shifted(audio, length, shift)
    latent = model.codec.encode(moved, length)[0]
    if model.classifier.reads == "audio":
        return Reencoded(latent, model.classifier(moved[0] * clip.gain, own_samples(length, samples)[0]))
    valid = valid_frames(model.codec, length, len(latent))[0]
    return Reencoded(latent, model.classifier(latent, valid))


def tells_features(classifier: Any) -> bool:
    """Whether a classifier tells its hidden features of a latent; see `core.protocols.Classifier`."""
    return classifier.reads == "latent" and hasattr(classifier, "hidden")


def features_of(
    classifier: Any, latents: Latent, valid: ClipValid, rate: float, key: Array
) -> tuple[Float[Array, "m t w"], Float[Array, "m k"]]:
    """Last hidden states and logits of m latents under dropout, drawn alike for all; see `tells_features`."""
    hidden = jax.vmap(lambda latent: classifier.hidden(latent, valid, rate, key))(latents)
    return hidden, jax.vmap(lambda own: classifier.head(own, valid))(hidden)


def has_gradient(classifier: Any) -> bool:
    """Whether methods that need a gradient can be used; see `adapters.host.HostClassifier`."""
    return getattr(classifier, "has_gradient", True)


def suited(model: Model, settings: Settings) -> Settings:
    """The settings, with other defaults where the classifier gives no gradient or the ranking needs no path.

    Raises:
        AudexError: the ranking `amortised` of a model without a mask network.
    """
    if not has_gradient(model.classifier):
        settings = without_gradient(settings)
    if settings.ranking != AMORTISED:
        return settings
    if model.mask_network is None:
        raise AudexError(f"this model has no network for the ranking {AMORTISED}; train one with audex train-explainer")
    return without_path(settings)


def explained_logits(model: Model, clip: EncodedClip) -> Callable[[ClipLatent], Float[Array, " k"]]:
    """The function of one clip's latent that attribution methods explain: the logits in the latent domain, `[k]`."""
    if model.classifier.reads == "latent":
        return lambda latent: model.classifier(latent, clip.valid)
    length, samples = clip.length[None], len(clip.audio)
    own = own_samples(length, samples)[0]
    return lambda z: model.classifier(decode_clips(model.codec, z[None], length, samples)[0] * clip.gain, own)


def in_blocks(function: Callable[..., Any], *batch: Any, size: int = BLOCK) -> Any:
    """`function(*batch)` of `size` or about as many rows at a time, where it does not mix rows.

    Args:
        function: from pytrees of arrays `[b, ...]` to such a pytree.
        batch: pytrees of arrays `[b, ...]`.
        size: rows at a time; the divisor of b that is nearest to it by ratio is taken.

    >>> in_blocks(lambda x: x + 1, jnp.arange(6), size=2).tolist()
    [1, 2, 3, 4, 5, 6]
    """
    count = len(jax.tree.leaves(batch)[0])
    divisors = [n for n in range(1, count + 1) if count % n == 0]
    rows = min(divisors, key=lambda n: max(n / size, size / n))
    if rows == count:
        return function(*batch)
    blocks = jax.tree.map(lambda leaf: leaf.reshape(-1, rows, *leaf.shape[1:]), batch)
    found = jax.lax.map(lambda some: function(*some), blocks)
    return jax.tree.map(lambda leaf: leaf.reshape(count, *leaf.shape[2:]), found)


def encode_clips(codec: Any, audio: Audio, lengths: Int[Array, " b"]) -> Latent:
    """Zero-padded clips `[b, n, c]` encoded, `BLOCK` at a time."""
    return in_blocks(codec.encode, audio, lengths)


def decode_clips(codec: Any, latents: Latent, lengths: Int[Array, " m"], samples: int) -> Audio:
    """Latents `[m, t, d]` decoded to `samples` samples, `BLOCK` at a time, silent beyond each clip's own `lengths`."""
    audio = in_blocks(lambda some: codec.decode(some, samples), latents)
    return audio * own_samples(lengths, samples)[..., None]


def own_samples(lengths: Int[Array, " b"], samples: int) -> Array:
    """True for the clips' own samples, `[b, n]`."""
    return jnp.arange(samples) < jnp.asarray(lengths)[:, None]


def level_gain(codec: Any, decoded: Audio, audio: Audio, lengths: Int[Array, " b"]) -> Float[Array, "b 1 1"]:
    """Gain that gives a clip's plain reconstruction the clip's own loudness; every edit of it gets the same.

    Loudness is the root mean square of the channels' mean over the clip's own samples. Codecs that keep the level need
    no gain.

    Args:
        codec: of the latents.
        decoded: the decoded whole latents, `[b, n, c]`.
        audio: the clips, `[b, n, c]`.
        lengths: samples of each clip, `[b]`.
    """
    if codec.keeps_level:
        return jnp.ones((len(audio), 1, 1))
    own = own_samples(lengths, audio.shape[1])[..., None]
    count = jnp.maximum(lengths, 1)

    def loudness(sound: Audio) -> Float[Array, " b"]:
        return jnp.sqrt(jnp.square(sound.mean(2, keepdims=True) * own).sum((1, 2)) / count) + TINY

    return (loudness(audio) / loudness(decoded))[:, None, None]


def filler_latent(model: Model, frames: int, settings: Settings) -> ClipLatent:
    """The latent `[t, d]` that stands for nothing: the filler of edits and the baseline of paths."""
    if settings.filler == "mean":
        return jnp.broadcast_to(model.mean_latent, (frames, model.codec.dim))
    return model.codec.filler(frames, settings.filler, jax.random.key(settings.seed))
