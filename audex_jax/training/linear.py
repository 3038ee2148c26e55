"""Fitting the linear classifier of pooled statistics: logistic regression, its L2 chosen by validation loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from scipy.special import log_softmax

from audex_jax.classifiers.linear import LinearProbe
from audex_jax.core.types import Array, Int
from audex_jax.training.classifier import cross_entropy, own_places
from audex_jax.training.edits import edit
from audex_jax.training.inputs import Inputs
from audex_jax.training.recipes import ClassifierRecipe

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # of half the squared weights of standardised statistics
ITERATIONS = 100


def fit_linear(
    config: Any,
    recipe: ClassifierRecipe,
    train: Inputs,
    val: Inputs,
    report: Callable[[int], None] = lambda done: None,
) -> LinearProbe:
    """Fit the classifier by L-BFGS, from the strongest penalty to the weakest, until the validation loss rises.

    Args:
        config: a `LinearConfig`.
        recipe: `edited` and `seed` are used; a share `edited` of the clips gets random elements replaced.
        train: in every variant.
        val: in one variant.
        report: called with the number of penalties done.

    Returns:
        The classifier of the penalty with the lowest validation loss.
    """
    empty = LinearProbe(config, rngs=None)
    x, y = _statistics(empty, train, recipe.edited, recipe.seed), np.repeat(train.labels, train.values.shape[1])
    seen = _statistics(empty, val.one_variant(), 0.0, 0)
    mean, deviation = x.mean(0), x.std(0) + 1e-3 * x.std() + 1e-6
    x, seen = (x - mean) / deviation, (seen - mean) / deviation
    best, weights = np.inf, np.zeros((x.shape[1] + 1, config.classes))
    chosen = weights
    for done, penalty in enumerate(PENALTIES, start=1):
        weights = _fitted(x, y, penalty, weights)
        loss = cross_entropy(seen @ weights[:-1] + weights[-1], val.labels)
        report(done)
        if loss > best:
            break
        best, chosen = loss, weights
    kernel = chosen[:-1] / deviation[:, None]
    classifier = LinearProbe(config, rngs=None)
    assert classifier.project_out.bias is not None
    classifier.project_out.kernel[...] = jnp.asarray(kernel, jnp.float32)
    classifier.project_out.bias[...] = jnp.asarray(chosen[-1] - mean @ kernel, jnp.float32)
    return classifier


@jax.jit
def _pooled(classifier: LinearProbe, values: Array, own: Int[Array, " b"], edited: Array, key: Array) -> Array:
    values = jnp.where(edited[:, None, None], edit(values, key), values)
    return jax.vmap(lambda z, v: classifier.statistics(classifier.hidden(z, v), v))(values, own_places(values, own))


def _statistics(classifier: LinearProbe, inputs: Inputs, edited: float, seed: int) -> np.ndarray:
    """Statistics of all clips in all variants, `[clips * v, s]`, those of a share of them after a random edit."""
    clips, variants = inputs.values.shape[:2]
    rng, found = np.random.default_rng(seed), []
    for number in range(variants):
        values, own, _ = inputs.variant(number)
        which = rng.random(clips) < edited
        found.append(np.asarray(_pooled(classifier, values, own, which, jax.random.key(rng.integers(2**31)))))
    return np.stack(found, 1).reshape(clips * variants, -1)


def _fitted(x: np.ndarray, y: np.ndarray, penalty: float, start: np.ndarray) -> np.ndarray:
    """Weights `[s + 1, k]`, the last row biases, of least cross-entropy plus penalty; from `start` on."""
    targets = np.eye(start.shape[1])[y]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        levels = log_softmax((x @ weights[:-1].astype(x.dtype)).astype(float) + weights[-1], 1)
        error = (np.exp(levels) - targets) / len(y)
        gradient = np.vstack([x.T @ error.astype(x.dtype) + penalty * weights[:-1], error.sum(0)])
        return -(levels * targets).sum() / len(y) + penalty / 2 * np.square(weights[:-1]).sum(), gradient.ravel()

    options = {"maxiter": ITERATIONS}
    found = scipy.optimize.minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(start.shape)
