"""Is it the model, or only the signal? Attributions of a model that forgets what it learnt, layer by layer.

Adebayo et al., arXiv 1810.03292: weights are randomised from the output down, cumulatively, and the attribution of the
same class is compared with the intact model's. Integrated Gradients keep the factor z - z0, which no randomisation
touches; hence the correlation with |z - z0| beside it. The paper's second test compares with a model that was trained
on labels drawn by chance (`audex train --shuffle-labels`).
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.attribution import integrated_gradients
from audex_jax.classifiers.transformer import LatentTransformer
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array, ClipValid, Float, Latent, Valid
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.step import Settings, filler_latent, latent_of, valid_frames
from audex_jax.masking.edit import keep_mask

RULE = Settings().rule
RANDOM_LABELS = "random labels"  # stage of a model that was trained on those
SHARE = 0.2  # of the elements whose overlap is counted


@dataclasses.dataclass(frozen=True)
class Stage:
    """How much of the attribution is left when the layers up to here are randomised; means over clips.

    Attributes:
        layer: the last layer that was randomised; `intact` for none, `random labels` for a model trained on those.
        spearman: rank correlation of absolute attributions with the intact model's.
        overlap: share of the top elements that are the intact model's; `SHARE` by chance.
        magnitude: rank correlation of the absolute attribution with |z - z0|.
    """

    layer: str
    spearman: float
    overlap: float
    magnitude: float


def cascade(
    classifier: LatentTransformer,
    latents: Latent,
    valid: Valid,
    baseline: Float[Array, "t d"],
    key: Array,
    steps: int = 24,
    untaught: LatentTransformer | None = None,
) -> list[Stage]:
    """Randomise the classifier from the output down and follow its attributions.

    Args:
        classifier: the trained one.
        latents, valid: clips, `[b, t, d]` and `[b, t]`.
        baseline: of the path, `[t, d]`.
        key: decides how the weights are shuffled.
        steps: points on the path.
        untaught: a classifier of the same latents that was trained on random labels; it comes last.
    """
    target = jax.vmap(classifier)(latents, valid).argmax(-1)
    stages, reference = [], None
    models = randomised(classifier, key)
    if untaught is not None:
        models.append((RANDOM_LABELS, untaught))
    for layer, model in models:
        found = _attributions(model, latents, valid, target, baseline, steps)
        reference = found if reference is None else reference
        stages.append(Stage(layer, *(float(x) for x in _likeness(found, reference, latents - baseline, valid))))
    return stages


def cascade_of(explainer: Explainer, clips: Sequence[np.ndarray], untaught: Explainer | None = None) -> list[Stage]:
    """`cascade` of an explainer's classifier on clips, with the default filler as baseline.

    Raises:
        AudexError: `untaught` reads another latent.
    """
    if untaught is not None and untaught.weights.codec.config != explainer.model.codec.config:
        raise AudexError("the model of random labels was trained on another codec; train it on this model's")
    weights, (audio, lengths) = explainer.model, explainer.pad(clips)
    latent = jax.jit(latent_of, static_argnums=3)(weights.codec, jnp.asarray(audio), lengths, explainer.bandwidth)
    valid = valid_frames(jnp.asarray(lengths), latent.shape[1], weights.codec.config.hop)
    baseline = filler_latent(weights, latent.shape[1], Settings())
    other = None if untaught is None else untaught.weights.classifier
    return cascade(weights.classifier, latent, valid, baseline, jax.random.key(0), untaught=other)


def randomised(classifier: LatentTransformer, key: Array) -> list[tuple[str, LatentTransformer]]:
    """The classifier intact, then with its layers shuffled cumulatively: output, last to first layer, input.

    Shuffling the entries of each array keeps its mean, spread and sparsity.
    """
    graph, state = nnx.split(classifier)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    names = [tuple(str(getattr(k, "key", getattr(k, "name", k))) for k in path) for path, _ in paths]
    layers = ["project_out", *(f"layers.{i}" for i in reversed(range(classifier.config.layers))), "project_in"]
    keys = jax.random.split(key, len(paths))
    found, gone = [("intact", classifier)], set()
    for layer in layers:
        gone |= {layer} if layer != "project_in" else {"project_in", "positions"}
        leaves = [
            jax.random.permutation(k, leaf.ravel()).reshape(leaf.shape) if layer_of(name) in gone else leaf
            for k, name, (_, leaf) in zip(keys, names, paths, strict=True)
        ]
        found.append((layer, nnx.merge(graph, jax.tree_util.tree_unflatten(structure, leaves))))
    return found


def layer_of(name: tuple[str, ...]) -> str:
    """`layers.2` or `project_out`: the layer that a parameter's path belongs to."""
    return ".".join(name[:2]) if name[0] == "layers" else name[0]


@jax.jit(static_argnames="steps")
def _attributions(
    model: LatentTransformer, latents: Latent, valid: Valid, target: Array, baseline: Array, steps: int
) -> Float[Array, "b t d"]:
    def one(args: tuple) -> Array:
        z, v, c = args
        return integrated_gradients(lambda x: model(x, v)[c], z, baseline, rule=RULE, steps=steps).attribution

    return jax.lax.map(one, (latents, valid, target))


@jax.jit
def _likeness(found: Array, reference: Array, distance: Array, valid: Valid) -> tuple[Array, Array, Array]:
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


def verdict(stages: list[Stage], tolerated: float = 0.5) -> tuple[bool, str]:
    """Whether the attribution depends on what the model learnt, and why, in words."""
    named = {stage.layer: stage for stage in stages}
    rivals = {"with all weights shuffled": named["project_in"]}
    if RANDOM_LABELS in named:
        rivals["of a model trained on random labels"] = named[RANDOM_LABELS]
    figures = "; ".join(
        f"{name} {stage.overlap:.0%} of the top {SHARE:.0%} are the same (chance {SHARE:.0%}), rank correlation "
        f"{stage.spearman:.2f}"
        for name, stage in rivals.items()
    )
    kept = max(np.clip((stage.overlap - SHARE) / (1 - SHARE), 0, 1) for stage in rivals.values())
    if kept <= tolerated:
        return True, f"The attribution depends on what the model learnt: {figures}."
    return False, (
        f"A model that knows nothing would be explained alike: {figures}. The factor z - z0 decides, not the model; "
        "use another baseline or a method without that factor."
    )
