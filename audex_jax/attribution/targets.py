"""Targets: which number of the classifier is explained.

Each function turns a classifier of one clip, `latent [t, d] -> logits [k]`, into the function of one latent that the
attribution methods take. Logits are the usual choice: a probability near 1 is flat, so its integral converges badly
and its attribution says more about the other classes than about the explained one. Labels may be traced; a label that
the classifier does not have raises an error where it is known, and gives NaN inside `jax.jit`, which `convergence`
reports.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from audex_jax.core.types import Array, ClipLatent, Float, Int

Classify = Callable[[ClipLatent], Float[Array, " k"]]
Label = int | Int[Array, ""]


def logit(classify: Classify, label: Label) -> Callable[[ClipLatent], Float[Array, ""]]:
    """The logit of one label.

    >>> import jax.numpy as jnp
    >>> float(logit(lambda z: z.sum(0), 1)(jnp.array([[1.0, 2.0], [3.0, 4.0]])))
    6.0
    """
    return lambda latent: _pick(classify(latent), label)


def predicted_logit(classify: Classify, latent: ClipLatent) -> Callable[[ClipLatent], Float[Array, ""]]:
    """The logit of the class that the classifier predicts for `latent`; the class stays fixed along the path."""
    return logit(classify, classify(latent).argmax())


def probability(classify: Classify, label: Label) -> Callable[[ClipLatent], Float[Array, ""]]:
    """The softmax probability of one label."""
    return lambda latent: _pick(jax.nn.softmax(classify(latent)), label)


def contrast(classify: Classify, label: Label, against: Label) -> Callable[[ClipLatent], Float[Array, ""]]:
    """Logit of `label` minus logit of `against`: why this one and not that one?"""

    def difference(latent: ClipLatent) -> Float[Array, ""]:
        logits = classify(latent)
        return _pick(logits, label) - _pick(logits, against)

    return difference


def logits_of(classify: Classify, labels: Int[Array, " m"]) -> Callable[[ClipLatent], Float[Array, " m"]]:
    """The logits of several labels; explain them together with `integrated_gradients_of_each`."""
    return lambda latent: _pick(classify(latent), labels)


def _pick(logits: Array, label: Label | Array) -> Array:
    classes = logits.shape[-1]
    if not isinstance(label, Tracer):
        wrong = [int(one) for one in np.ravel(np.asarray(label)) if not 0 <= one < classes]
        if wrong:
            raise ValueError(f"label {wrong[0]} is unknown: the classifier has {classes}, numbered 0 to {classes - 1}")
    return logits.at[jnp.asarray(label)].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
