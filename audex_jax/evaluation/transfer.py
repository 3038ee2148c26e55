"""Transfer: is an explanation one for other classifiers, too, which had no part in it?

A mask that is corrected through a classifier, or merely found by its gradients, can exploit that classifier's own
weaknesses. What such a mask keeps means nothing to a stranger: another classifier of the same labels, trained apart. So
strangers classify the sounds of the edits. Each is compared with itself, with the label that it gives the plain
reconstruction, right or wrong.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.bundles import digest
from audex_jax.core import settings
from audex_jax.core.errors import AudexError
from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, Int
from audex_jax.data.folder import LabelledClip
from audex_jax.devices.cpu import must_leave_a_thread
from audex_jax.evaluation.blocks import read_loud, score_in_blocks
from audex_jax.evaluation.edits import decode_at_level, encode_clip, in_chunks
from audex_jax.evaluation.orders import order_elements
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import identity_of
from audex_jax.evaluation.scratch import Scratch
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, classify_audio, filler_latent
from audex_jax.masking.edit import fill
from audex_jax.masking.rank import top_share


class Transfer(NamedTuple):
    """What strangers say of the sounds of edits.

    Axes: c clips, s strangers, m methods, v shares.

    Attributes:
        strangers, methods, shares: names, and shares of the elements.
        filler: what stands where elements are taken out.
        speakers: of the clips; one may be None.
        label: class by the folder, `[c]`.
        reconstructed: class of the plain reconstruction, `[c, s]`.
        kept: does the kept share get that class, too? `[c, s, m, v]`.
        lost: does what is left without the share get another one? `[c, s, m, v]`.
    """

    strangers: tuple[str, ...]
    methods: tuple[str, ...]
    shares: tuple[float, ...]
    filler: str
    speakers: tuple[str | None, ...]
    label: np.ndarray
    reconstructed: np.ndarray
    kept: np.ndarray
    lost: np.ndarray


@compile_step(static_argnames="chunk")
def _classes(
    model: Model,
    strangers: tuple[Model, ...],
    clip: EncodedClip,
    ranks: Int[Array, "m t d"],
    filler: ClipLatent,
    edits: tuple[Array, Array, Array],
    chunk: int,
) -> Int[Array, "e s"]:
    """Classes that strangers give the sounds of edits: number of the order, share, and is it deleted? `[e]` each."""

    def classify(order: Array, share: Array, delete: Array) -> Array:
        masks = jax.vmap(top_share, (0, None, 0))(ranks[order], clip.sounding, share) != delete[:, None, None]
        latents = jax.vmap(fill, (None, 0, None, None))(clip.latent, masks, clip.valid, filler)
        sounds, lengths = decode_at_level(model, clip, latents), jnp.full(len(order), clip.length)
        return jnp.stack([classify_audio(stranger, sounds, lengths).argmax(-1) for stranger in strangers], -1)

    return in_chunks(classify, edits, chunk)


class Listener:
    """Lets strangers classify the edits of single clips on one device."""

    def __init__(self, explainer: Explainer, strangers: Sequence[Explainer], plan: Plan, chunk: int, device: Any):
        models = explainer.model, tuple(stranger.model for stranger in strangers)
        self.model, self.strangers = jax.device_put(models, device)
        self.settings, self.chunk = plan.settings, chunk
        self.arms = tuple(plan.arms[name] for name in plan.latent_methods)
        frames = int(self.model.codec.frames(explainer.clip_samples))
        self.nothing = filler_latent(self.model, frames, Settings(filler=filler_of(plan)))
        order, share, delete = np.indices((len(self.arms), len(plan.levels), 2)).reshape(3, -1)
        shares = np.asarray(plan.levels, np.float32)[share]
        whole = (0, 0.0, True)  # nothing taken out
        columns = zip(whole, (order, shares, delete == 1), strict=True)
        self.edits = tuple(jnp.asarray(np.append(first, column).astype(column.dtype)) for first, column in columns)
        self.shape = (len(self.arms), len(plan.levels), 2, len(strangers))

    def score(self, audio: np.ndarray, length: int, number: int) -> dict[str, np.ndarray]:
        """`reconstructed`, `kept` and `lost` of one clip, as in `Transfer`; its number draws what is random."""
        clip = encode_clip(self.model, audio, length)
        ranks, _ = order_elements(self.model, clip, self.nothing, self.arms, self.settings, number)
        orders = jnp.stack([ranks[arm] for arm in self.arms])
        classes = np.asarray(
            _classes(self.model, self.strangers, clip, orders, self.nothing, self.edits, self.chunk), np.int16
        )
        same = np.moveaxis((classes[1:] == classes[0]).reshape(self.shape), -1, 0)
        return {"reconstructed": classes[0], "kept": same[..., 0], "lost": ~same[..., 1]}


def filler_of(plan: Plan) -> str:
    """The first filler of a plan that needs no other clip; else zero."""
    return next((filler for filler in plan.fillers if filler in settings.FILLERS), "zero")


def ask_strangers(
    explainer: Explainer,
    strangers: Mapping[str, Explainer],
    files: Sequence[LabelledClip],
    plan: Plan,
    scratch: pathlib.Path | None = None,
    chunk: int = 8,
    quiet: bool = True,
    devices: Sequence[Any] = (),
) -> Transfer:
    """Let strangers classify what a plan's latent methods keep and leave, over its first filler.

    Args:
        explainer: what explains, and decodes.
        strangers: what classifies the sounds, by name; same labels and sample rate.
        files, plan, scratch, chunk, quiet, devices: as of `run.evaluate`.

    Raises:
        AudexError: a stranger cannot take the explainer's clips or is the explainer, no method edits latents, or there
            is no clip with sound.
    """
    must_leave_a_thread(devices)
    own = digest(explainer)
    identity: dict[str, Any] = {"strangers": {}}
    for name, stranger in strangers.items():
        if (explainer.labels, explainer.sample_rate) != (stranger.labels, stranger.sample_rate):
            raise AudexError(f"{name} has other labels or another sample rate; train a stranger on the same folder")
        if stranger.clip_samples < explainer.clip_samples:
            raise AudexError(f"{name} takes clips of {stranger.clip_seconds:g} s; {explainer.clip_seconds:g} s needed")
        identity["strangers"][name] = digest(stranger)
        if identity["strangers"][name] == own:
            raise AudexError(f"{name} is the explained model itself; train a stranger: audex train --strangers")
    if not plan.latent_methods:
        raise AudexError(f"{', '.join(plan.methods)}: strangers classify edits of latents only; add such a method")
    files, audio, lengths, _ = read_loud(explainer, files, quiet)
    kept = Scratch(scratch, identity_of(explainer, files, plan) | identity if scratch else {})
    listeners = [
        Listener(explainer, tuple(strangers.values()), plan, chunk, device)
        for device in devices or jax.local_devices()[:1]
    ]

    def score(listener: Listener, number: int) -> dict[str, np.ndarray]:
        return listener.score(audio[number], lengths[number], number)

    found = score_in_blocks(score, len(files), listeners, kept, "asking strangers", quiet)
    return Transfer(
        tuple(strangers),
        plan.latent_methods,
        plan.levels,
        filler_of(plan),
        tuple(file.speaker for file in files),
        np.array([explainer.labels.index(file.label) for file in files]),
        **found,
    )
