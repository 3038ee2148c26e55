"""A second listener: does a classifier that had no part in an explanation hear it as well?

A mask that is corrected through a classifier, or merely found by its gradients, can exploit that classifier's own
weaknesses. What such a mask keeps says nothing to another classifier of the same labels. So the audio of the edits is
handed to one, trained separately, and compared with what it makes of the plain reconstruction.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.judge import EncodedClip, look, order_elements, random_order
from audex_jax.evaluation.plan import Plan
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.step import Model, Settings, filler_latent, logits_of_audio, sounds_of
from audex_jax.masking.edit import fill, top_share


@functools.partial(jax.jit, static_argnames=("shares", "bandwidth"))
def _heard(
    model: Model, listener: Model, clip: EncodedClip, ranks, filler, shares: tuple[float, ...], bandwidth: float | None
):
    """Classes that the listener hears in the reconstruction, then in what is kept and deleted: `[1 + 2 m s]`."""
    masks = jnp.stack([top_share(order, clip.valid, share) for order in ranks for share in shares])
    edit = jax.vmap(lambda mask: fill(clip.latent, mask, filler))
    latents = jnp.concatenate([clip.latent[None], edit(masks), edit(~masks)])
    lengths = jnp.full(len(latents), clip.length)
    sounds = sounds_of(weights.codec, latents, lengths, len(clip.sound))
    return logits_of_audio(listener, sounds, lengths, bandwidth).argmax(-1)


def transfer(
    explainer: Explainer,
    listener: Explainer,
    files: Sequence[LabelledClip],
    methods: Sequence[str],
    shares: Sequence[float],
    filler: str = "zero",
) -> list[dict]:
    """Share of clips in which the listener hears the same when a share is kept, and something else when deleted.

    Args:
        explainer: what explains, and decodes.
        listener: what listens; same sample rate and labels.
        files: recordings.
        methods: latent methods of `plan.LATENT_METHODS`.
        shares: of the elements.
        filler: as in `Settings`.

    Returns:
        A row for each method and share with `keep` and `delete`, as shares of the clips.

    Raises:
        AudexError: the two have other labels or sample rates, or a method edits no latents.
    """
    if (explainer.labels, explainer.sample_rate) != (listener.labels, listener.sample_rate):
        raise AudexError("the listener has other labels or another sample rate; train one on the same folder")
    plan = Plan(tuple(methods), (filler,), tuple(sorted(shares)))
    if plan.input_methods:
        raise AudexError(f"{', '.join(plan.input_methods)}: only edits of latents have a second listener")
    weights, fixed = explainer.model, tuple(m for m in methods if m != "random")
    frames = weights.codec.config.frames(explainer.clip_samples)
    nothing = filler_latent(weights, frames, Settings(filler=filler))
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate)]
    audio, lengths = explainer.pad(clips)
    same = []
    for number in range(len(clips)):
        clip = look(weights, audio[number], lengths[number], explainer.bandwidth)
        found = order_elements(weights, clip, nothing, fixed, plan.rule, plan.steps, plan.refinement).ranks
        ranks = dict(zip(fixed, found, strict=True))
        ranks["random"] = random_order(jax.random.fold_in(jax.random.key(0), number), clip)
        orders = jnp.stack([ranks[m] for m in methods])
        heard = np.asarray(_heard(weights, listener.weights, clip, orders, nothing, tuple(shares), listener.bandwidth))
        same.append(heard[1:] == heard[0])
    kept, rest = np.mean(same, 0).reshape(2, len(methods), len(shares))
    return [
        {"method": method, "share": share, "keep": float(kept[m, s]), "delete": float(1 - rest[m, s])}
        for m, method in enumerate(methods)
        for s, share in enumerate(shares)
    ]
