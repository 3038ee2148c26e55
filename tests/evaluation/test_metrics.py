"""Metrics against numbers worked out by hand and against what must hold of a linear function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import integrated_gradients
from audex_jax.evaluation import input_metrics
from audex_jax.evaluation.local_metrics import infidelity, max_sensitivity
from audex_jax.evaluation.shape import complexity, sparseness

WHOLE, KEPT, REST = jnp.array([0.8, 0.5]), jnp.array([0.4, 0.75]), jnp.array([0.1, 0.5])


def test_scores_of_two_clips_by_hand():
    np.testing.assert_allclose(input_metrics.average_increase(WHOLE, KEPT), [0, 100])
    np.testing.assert_allclose(input_metrics.average_drop(WHOLE, KEPT), [50, 0], rtol=1e-6)
    np.testing.assert_allclose(input_metrics.average_gain(WHOLE, KEPT), [0, 50], rtol=1e-6)
    np.testing.assert_allclose(input_metrics.faithfulness(WHOLE, REST), [0.7, 0], rtol=1e-6)


def test_a_perfect_and_an_empty_explanation():
    sure, nothing = jnp.ones(1), jnp.zeros(1)
    assert float(input_metrics.average_drop(sure, sure)[0]) == 0
    assert float(input_metrics.average_drop(sure, nothing)[0]) == pytest.approx(100)
    assert float(input_metrics.average_increase(sure, sure)[0]) == 0
    assert float(input_metrics.faithfulness(sure, nothing)[0]) == 1


def test_a_second_softmax_bounds_the_drop():
    sure, lost = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
    found = input_metrics.average_drop_speechbrain(sure, lost, jnp.array([0]))
    assert float(found[0]) == pytest.approx(100 * (1 - 1 / np.e), rel=1e-5)


def test_shapes_at_their_limits(normal):
    even, one = jnp.ones((4, 6)), jnp.zeros((4, 6)).at[1, 2].set(-3.0)
    assert float(sparseness(even)) == pytest.approx(0, abs=1e-6)
    assert float(sparseness(one)) == pytest.approx(1 - 1 / 24, abs=1e-4)
    assert float(complexity(even)) == pytest.approx(np.log(24), rel=1e-5)
    assert float(complexity(one)) == pytest.approx(0, abs=1e-6)
    attribution = normal(4, 6)
    for metric in (sparseness, complexity):
        assert float(metric(5 * attribution)) == pytest.approx(float(metric(attribution)), rel=1e-4)
        assert float(jax.jit(metric)(attribution)) == pytest.approx(float(metric(attribution)), rel=1e-5)


def test_a_linear_function_is_explained_without_a_fault(normal):
    weight, latent, baseline, drawn = normal(5, 3), normal(5, 3), normal(5, 3), normal(7, 5, 3)
    f = lambda z: (weight * z).sum()  # noqa: E731
    attribute = lambda z: integrated_gradients(f, z, baseline).attribution  # noqa: E731
    attribution = attribute(latent)
    assert float(infidelity(f, latent, attribution, drawn, factor=latent - baseline)) == pytest.approx(0, abs=1e-8)
    assert float(infidelity(f, latent, weight, drawn)) == pytest.approx(0, abs=1e-8)
    assert float(infidelity(f, latent, -weight, drawn)) > 1
    assert float(infidelity(f, latent, 3 * weight, drawn, scaled=True)) == pytest.approx(0, abs=1e-8)
    expected = max(np.linalg.norm(weight * i) for i in drawn) / np.linalg.norm(attribution)
    assert float(max_sensitivity(attribute, latent, drawn)) == pytest.approx(expected, rel=1e-4)


def test_chunks_change_nothing(normal):
    latent, attribution, drawn = normal(5, 3), normal(5, 3), normal(7, 5, 3)
    f = lambda z: jnp.tanh(z).sum()  # noqa: E731
    values = [float(infidelity(f, latent, attribution, drawn, chunk=c)) for c in (1, 3, 7)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)
    ways = ({"chunk": 1}, {"chunk": 4}, {"own": jax.grad(f)(latent)})
    values = [float(max_sensitivity(jax.grad(f), latent, drawn, **way)) for way in ways]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)


def test_elements_that_equal_the_baseline_predict_nothing(normal):
    latent = normal(2, 3).at[0, 0].set(0.0)
    found = infidelity(lambda z: z.sum(), latent, latent, jnp.ones((1, 2, 3)), factor=latent)
    assert float(found) == pytest.approx(1)  # the one element that is missing from the prediction
