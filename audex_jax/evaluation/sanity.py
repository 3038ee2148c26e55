"""Is it the model, or only the signal? Attributions of a model that forgets what it learnt, layer by layer.

Cascading randomization, Adebayo et al., arXiv 1810.03292: weights are randomised from the output down, and the
attribution of the same class is compared with the intact model's. Integrated Gradients keep the factor z - z0, which no
randomisation touches; hence the correlation with |z - z0| beside it. The paper's second test compares with a model that
was trained on labels drawn by chance (`audex train --shuffle-labels`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.controls import shuffled_weights
from audex_jax.core.errors import AudexError
from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, ClipValid, Float, Valid
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, Model, encode_and_classify, filler_latent
from audex_jax.explain.step import attribute
from audex_jax.masking.rank import keep_mask

INTACT, ALL = "intact", "all weights"  # the first stage, and the one after the last layer
RANDOM_LABELS = "random labels"  # stage of a model that was trained on those
OUTPUT = "project_out"  # name of the layer that gives the logits
SHARE = 0.2  # of the elements whose overlap is counted


@dataclasses.dataclass(frozen=True)
class Stage:
    """How much of the attribution is left when the layers up to here are randomised; means over clips.

    Attributes:
        layer: the last layer that was randomised, or `INTACT`, `ALL` or `RANDOM_LABELS`.
        spearman: rank correlation of absolute attributions with the intact model's.
        overlap: share of the top elements that are the intact model's; `SHARE` by chance.
        magnitude: rank correlation of the absolute attribution with |z - z0|.
    """

    layer: str
    spearman: float
    overlap: float
    magnitude: float


def cascade(
    explainer: Explainer,
    clips: Sequence[np.ndarray],
    random_labels: Explainer | None = None,
    settings: Settings | None = None,
    seed: int = 0,
) -> list[Stage]:
    """Randomise an explainer's classifier from the output down and follow its attributions.

    Args:
        explainer: the trained model.
        clips: recordings, as for `explain_clips`.
        random_labels: an explainer of the same codec that was trained on random labels; it comes last.
        settings: how to attribute; its filler is the baseline.
        seed: decides how the weights are shuffled.

    Raises:
        AudexError: `random_labels` has another codec.
    """
    settings, model = settings or Settings(), explainer.model
    stages = randomised(model.classifier, jax.random.key(seed))
    if random_labels is not None:
        if not _equal(random_labels.model.codec, model.codec):
            raise AudexError("the model of random labels was trained on another codec; train it on this model's")
        stages.append((RANDOM_LABELS, random_labels.model.classifier))
    encoded = compile_step(encode_and_classify)(model, *explainer.pad(clips))
    baseline = filler_latent(model, encoded.latent.shape[1], settings)
    attributions = [_attributions(model._replace(classifier=c), encoded, baseline, settings) for _, c in stages]
    return [
        Stage(layer, *(float(x) for x in _similarity(found, attributions[0], encoded.latent - baseline, encoded.valid)))
        for (layer, _), found in zip(stages, attributions, strict=True)
    ]


def randomised(classifier: Any, key: Array) -> list[tuple[str, Any]]:
    """The classifier intact, then with its layers shuffled cumulatively, from the output down.

    Layers are `OUTPUT`, if there is one, then the entries of lists of modules, the last one first. All other arrays
    come at the end. Shuffling the entries of each array keeps its mean, spread and sparsity.

    Args:
        classifier: a pytree.
        key: of the shuffling.

    Returns:
        The name of the layer that was shuffled last, and the classifier, for each stage.
    """
    if getattr(classifier, "shuffled", None) is not None:
        return [(INTACT, classifier), (ALL, shuffled_weights(classifier, key))]
    leaves, structure = jax.tree_util.tree_flatten_with_path(classifier)
    layers = [_layer_of(path) for path, _ in leaves]
    numbered = sorted({layer for layer in layers if layer not in (OUTPUT, ALL)}, key=lambda n: int(n.split(".")[-1]))
    keys = jax.random.split(key, len(leaves))
    shuffled = [
        jax.random.permutation(k, leaf.ravel()).reshape(leaf.shape) for k, (_, leaf) in zip(keys, leaves, strict=True)
    ]
    stages, gone = [(INTACT, classifier)], set()
    for layer in [*([OUTPUT] if OUTPUT in layers else []), *reversed(numbered), ALL]:
        gone.add(layer)
        chosen = [new if own in gone else leaf for own, new, (_, leaf) in zip(layers, shuffled, leaves, strict=True)]
        stages.append((layer, jax.tree.unflatten(structure, chosen)))
    return stages


def _layer_of(path: tuple) -> str:
    """`layers.2`, `OUTPUT`, or `ALL` for what belongs to no layer."""
    names = jax.tree_util.keystr(path, simple=True, separator=".").split(".")
    if len(names) > 1 and names[1].isdigit():
        return ".".join(names[:2])
    return OUTPUT if names[0] == OUTPUT else ALL


def _equal(one: Any, other: Any) -> bool:
    """Whether two pytrees are of one structure and hold the same numbers."""
    same = jax.tree.structure(one) == jax.tree.structure(other)
    return same and all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


@compile_step(static_argnames="settings")
def _attributions(model: Model, clips: EncodedClip, baseline: ClipLatent, settings: Settings) -> Float[Array, "b t d"]:
    return jax.lax.map(lambda clip: attribute(model, clip, settings, baseline).attribution, clips)


@jax.jit
def _similarity(found: Array, reference: Array, distance: Array, valid: Valid) -> tuple[Array, Array, Array]:
    def one(a: Array, b: Array, d: Array, v: ClipValid) -> tuple[Array, Array, Array]:
        a, b, d = jnp.abs(a), jnp.abs(b), jnp.abs(d)
        tops = [keep_mask(x, v, SHARE) for x in (a, b)]
        return spearman(a, b, v), (tops[0] & tops[1]).sum() / tops[1].sum(), spearman(a, d, v)

    return jax.tree.map(jnp.mean, jax.vmap(one)(found, reference, distance, valid))


def spearman(one: Float[Array, "t d"], other: Float[Array, "t d"], valid: ClipValid) -> Float[Array, ""]:
    """Rank correlation over the clip's own elements; ties in order of their place.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[1.0, 2.0], [3.0, 9.0]])
    >>> float(spearman(x, -x, jnp.ones(2, bool)))
    -1.0
    """
    own = jnp.broadcast_to(valid[:, None], one.shape).ravel()
    ranks = [_ranks(jnp.where(own, x.ravel(), jnp.inf)) for x in (one, other)]
    count = own.sum()
    centred = [jnp.where(own, rank - (count - 1) / 2, 0) for rank in ranks]
    return (centred[0] * centred[1]).sum() / jnp.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())


def _ranks(values: Float[Array, " e"]) -> Float[Array, " e"]:
    order = jnp.argsort(values, stable=True)
    return jnp.zeros(values.size).at[order].set(jnp.arange(values.size, dtype=jnp.float32))


def assess(stages: Sequence[Stage], tolerated: float = 0.5) -> tuple[bool, str]:
    """Whether the attribution depends on what the model learnt, and why, in words."""
    named = {stage.layer: stage for stage in stages}
    controls = {"with all weights shuffled": named[ALL]}
    if RANDOM_LABELS in named:
        controls["of a model trained on random labels"] = named[RANDOM_LABELS]
    figures = "; ".join(
        f"{name} {stage.overlap:.0%} of the top {SHARE:.0%} are the same (chance {SHARE:.0%}), rank correlation "
        f"{stage.spearman:.2f}"
        for name, stage in controls.items()
    )
    kept = max(np.clip((stage.overlap - SHARE) / (1 - SHARE), 0, 1) for stage in controls.values())
    if kept <= tolerated:
        return True, f"The attribution depends on what the model learnt: {figures}."
    return False, (
        f"A model that has learnt nothing would be explained alike: {figures}. The factor z - z0 decides, not the "
        "model; use another baseline or a method without that factor."
    )
