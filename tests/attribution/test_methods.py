"""What single methods promise beside the axioms of `test_axioms.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import (
    expected_gradients,
    gradient_shap,
    occlusion,
    random_attribution,
    shapley_sampling,
    shuffled_weights,
    unit_map,
)

KEY = jax.random.key(5)
Z = jnp.array([[1.0, 2.0], [-3.0, 0.5]])


def curved(z):
    return jnp.tanh(z).prod() + (z**3).sum()


def test_random_knows_only_its_key():
    one = random_attribution(curved, Z, 0.0, key=KEY)
    np.testing.assert_array_equal(one, random_attribution(jnp.sum, -Z, 1.0, key=KEY))
    assert (one != random_attribution(curved, Z, 0.0, key=jax.random.key(6))).all()


def test_gradient_shap_tends_to_expected_gradients():
    baselines = jnp.stack([0 * Z, 0.5 * Z + 1])
    sampled = jax.jit(lambda z: gradient_shap(curved, z, baselines, key=KEY, samples=20_000, chunk=2000))(Z)
    exact = jax.jit(lambda z: expected_gradients(curved, z, baselines, steps=500, chunk=100).attribution)(Z)
    np.testing.assert_allclose(sampled, exact, rtol=0.05)


def test_shapley_values_of_a_known_game():
    def game(z):  # 0 and 1 share the product; 2 stands alone; 3 is a dummy
        a, b, c, _ = z.ravel()
        return 6 * a * b + 2 * c

    units = unit_map("element", 2, 2)
    explain = jax.jit(lambda z: shapley_sampling(game, z, 0.0, units=units, key=KEY, permutations=400, chunk=5))
    estimate = explain(jnp.ones((2, 2)))
    np.testing.assert_allclose(estimate.attribution.sum(), 8, rtol=1e-5)
    np.testing.assert_allclose(estimate.attribution[1], [2, 0], atol=1e-5)
    np.testing.assert_allclose(estimate.standard_error[1], 0, atol=1e-5)
    assert estimate.standard_error[0] == pytest.approx(3 / np.sqrt(400), rel=0.05)  # each adds 0 or 6, evenly
    np.testing.assert_allclose(estimate.attribution[0], 3, atol=4 * 3 / np.sqrt(400))


def test_perturbation_refuses_a_wrong_map():
    with pytest.raises(ValueError, match="unit map"):
        occlusion(curved, Z, 0.0, units=unit_map("frame", 3, 2))
    with pytest.raises(ValueError, match="at least 2"):
        shapley_sampling(curved, Z, 0.0, units=unit_map("frame", 2, 2), key=KEY, permutations=1)


def test_shuffled_weights_keep_their_entries_and_lose_their_order(classifier_of):
    classifier = classifier_of(dim=6, classes=4)
    shuffled = jax.jit(shuffled_weights)(classifier, KEY)
    for one, other in zip(jax.tree.leaves(classifier), jax.tree.leaves(shuffled), strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
    kernel = np.asarray(classifier.project_in.kernel[...])
    assert (np.asarray(shuffled.project_in.kernel[...]) != kernel).mean() > 0.9
