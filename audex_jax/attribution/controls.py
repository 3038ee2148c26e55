"""A model that has learnt nothing, as a control for claims about explanations."""

from typing import Any, TypeVar

import jax

from audex_jax.core.types import Array

Model = TypeVar("Model")


def can_be_shuffled(model: Any) -> bool:
    """Whether a model has weights that `shuffled_weights` can reach."""
    return getattr(model, "shuffled", None) is not None or bool(jax.tree.leaves(model))


def shuffled_weights(model: Model, key: Array) -> Model:
    """The model with the entries of each weight array in random order.

    Integrated Gradients of it shows what comes from the factor z - z0 and from the architecture, not from what was
    learnt (Adebayo et al., arXiv 1810.03292). Each array keeps its own mean, spread and sparsity, as a fresh
    initialisation would not.

    Args:
        model: a pytree of weight arrays, such as an `nnx.Module`; or what has a method `shuffled(seed)`.
        key: random key; each array draws from a key of its own.
    """
    shuffle = getattr(model, "shuffled", None)
    if shuffle is not None:
        return shuffle(int(jax.random.bits(key)))
    leaves, structure = jax.tree.flatten(model)
    keys = jax.random.split(key, len(leaves))
    shuffled = [
        jax.random.permutation(k, leaf.ravel()).reshape(leaf.shape) for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, shuffled)
