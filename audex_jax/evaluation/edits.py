"""How edits of one clip are classified: the compiled steps of an evaluation.

Clips go through one at a time and the many edits of each are the batch. So no clip's result depends on which others are
evaluated with it, and memory depends on `chunk`, the edits classified at once, alone.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from audex_jax.attribution.chunks import chunk_index
from audex_jax.core.host import compile_step
from audex_jax.core.types import Array, Float, Int
from audex_jax.evaluation.plan import Edits
from audex_jax.explain.model import (
    EncodedClip,
    Model,
    decode_clips,
    encode_and_classify,
    level_gain,
    score_edits,
)
from audex_jax.masking.edit import fill
from audex_jax.masking.rank import top_share

Found = TypeVar("Found")  # a pytree of arrays, `[m, ...]`


class EditScores(NamedTuple):
    """How edits are classified: class, the target's probability, and that after a second softmax (`metrics`).

    The axis w is `explain.model.DOMAINS`. Edits of the sound itself have no latent; there the class is -1 and the
    probabilities are NaN.
    """

    label: Int[Array, "*m w"]
    probability: Float[Array, "*m w"]
    softened: Float[Array, "*m w"]


def edit_scores(logits: Float[Array, "*m w k"], target: Array) -> EditScores:
    """Class and both probabilities of the target that logits give."""
    shares = jax.nn.softmax(logits)
    return EditScores(logits.argmax(-1), shares[..., target], jax.nn.softmax(shares)[..., target])


@compile_step
def encode_clip(model: Model, audio: Float[Array, "n c"], length: Int[Array, ""]) -> EncodedClip:
    """Encode and classify one zero-padded clip of `length` samples; its predicted class is the target."""
    return jax.tree.map(lambda a: a[0], encode_and_classify(model, audio[None], jnp.asarray(length)[None]))


def decode_at_level(model: Model, clip: EncodedClip, latents: Float[Array, "m t d"]) -> Float[Array, "m n c"]:
    """Sounds of m edits of a clip, at the level that gives its plain reconstruction the clip's loudness."""
    samples, lengths = len(clip.audio), jnp.full(1 + len(latents), clip.length)
    sounds = decode_clips(model.codec, jnp.concatenate([clip.latent[None], latents]), lengths, samples)
    return (sounds * level_gain(model.codec, sounds[:1], clip.audio[None], clip.length[None]))[1:]


@compile_step(static_argnames="chunk")
def score_latent_edits(
    model: Model,
    clip: EncodedClip,
    ranks: Int[Array, "o t d"],
    fillers: Float[Array, "f t d"],
    edits: Edits,
    chunk: int,
) -> EditScores:
    """Classify m edits of a clip's latent in each domain.

    Args:
        model, clip: what is edited.
        ranks: orders of the elements, `[o, t, d]`.
        fillers: what stands where elements are taken out, `[f, t, d]`.
        edits: see `plan.lay_out`, `[m]`.
        chunk: edits classified at once.
    """

    def score(order: Array, filler: Array, level: Array, delete: Array) -> EditScores:
        masks = jax.vmap(top_share, (0, None, 0))(ranks[order], clip.sounding, level) != delete[:, None, None]
        latents = jax.vmap(fill, (None, 0, None, 0))(clip.latent, masks, clip.valid, fillers[filler])
        return edit_scores(jnp.moveaxis(score_edits(model, clip, latents), 0, 1), clip.target)

    return in_chunks(score, edits, chunk)


def in_chunks(score: Callable[..., Found], edits: tuple, chunk: int) -> Found:
    """Score `chunk` edits at a time, one chunk after the other."""
    count = len(edits[0])
    index, _ = chunk_index(count, chunk)
    found = jax.lax.map(lambda part: score(*part), tuple(jnp.asarray(column)[index] for column in edits))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:count], found)
