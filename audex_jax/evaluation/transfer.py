"""Transfer: is an explanation one for a second classifier, too, which had no part in it?

A mask that is corrected through a classifier, or merely found by its gradients, can exploit that classifier's own
weaknesses. What such a mask keeps means nothing to another classifier of the same labels. So one that was trained
separately classifies the audio of the edits, and is compared with itself on the plain reconstruction.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, Float, Int
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.edits import decode_at_level, encode_clip
from audex_jax.evaluation.orders import order_elements
from audex_jax.evaluation.plan import Plan
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, classify_audio, filler_latent
from audex_jax.masking.edit import fill
from audex_jax.masking.rank import top_share


@functools.partial(jax.jit, static_argnames="shares")
def _classes(
    model: Model,
    other: Model,
    clip: EncodedClip,
    ranks: Int[Array, "m t d"],
    filler: ClipLatent,
    shares: tuple[float, ...],
) -> Int[Array, " e"]:
    """Classes that `other` gives the reconstruction, then the kept and the residual sounds: e = 1 + 2 m s."""
    masks = jnp.stack([top_share(order, clip.valid, share) for order in ranks for share in shares])
    edit = jax.vmap(lambda mask: fill(clip.latent, mask, clip.valid, filler))
    sounds = decode_at_level(model, clip, jnp.concatenate([clip.latent[None], edit(masks), edit(~masks)]))
    return classify_audio(other, sounds, jnp.full(len(sounds), clip.length)).argmax(-1)


def transfer(
    explainer: Explainer,
    other: Explainer,
    files: Sequence[LabelledClip],
    methods: Sequence[str],
    shares: Sequence[float],
    filler: str = "zero",
) -> list[dict[str, str | float]]:
    """Share of clips that keep their class for another classifier when a share is kept, and lose it when deleted.

    Args:
        explainer: what explains, and decodes.
        other: what classifies the sounds; same sample rate and labels.
        files: recordings.
        methods: names of arms in the latent space.
        shares: of the elements.
        filler: as in `Settings`.

    Returns:
        A row for each method and share with `keep` and `delete`, as shares of the clips.

    Raises:
        AudexError: the two have other labels or sample rates, or a method edits no latents.
    """
    if (explainer.labels, explainer.sample_rate) != (other.labels, other.sample_rate):
        raise AudexError("the second model has other labels or another sample rate; train one on the same folder")
    plan = Plan(tuple(methods), (filler,), tuple(sorted(shares)))
    if plan.input_methods:
        raise AudexError(f"{', '.join(plan.input_methods)}: only edits of latents are classified by a second model")
    model, arms = explainer.model, tuple(plan.arms.values())
    clips = [
        c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate, quiet=True)
    ]
    audio, lengths = explainer.pad(clips)
    nothing = filler_latent(model, int(model.codec.frames(audio.shape[1])), Settings(filler=filler))
    same: list[Float[np.ndarray, " e"]] = []
    for number in range(len(clips)):
        clip = encode_clip(model, audio[number], lengths[number])
        ranks, _ = order_elements(model, clip, nothing, arms, plan.settings, number)
        orders = jnp.stack([ranks[arm] for arm in arms])
        classes = np.asarray(_classes(model, other.model, clip, orders, nothing, tuple(shares)))
        same.append(classes[1:] == classes[0])
    kept, residual = np.mean(same, 0).reshape(2, len(arms), len(shares))
    return [
        {"method": method, "share": share, "keep": float(kept[m, s]), "delete": float(1 - residual[m, s])}
        for m, method in enumerate(methods)
        for s, share in enumerate(shares)
    ]
