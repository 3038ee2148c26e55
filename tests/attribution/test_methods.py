import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.attribution import (
    expected_gradients,
    gradient_shap,
    gradient_x_input,
    magnitude,
    occlusion,
    random_attribution,
    saliency,
    shapley_sampling,
    shuffled_weights,
    smooth_grad,
    unit_map,
)
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.core.registry import METHODS
from audex_jax.core.settings import Settings

KEY = jax.random.key(5)
Z = jnp.array([[1.0, 2.0], [-3.0, 0.5]])
WEIGHT = jnp.array([[2.0, -1.0], [0.5, 4.0]])


def linear(z):
    return (WEIGHT * z).sum()


def curved(z):
    return jnp.tanh(z).prod() + (z**3).sum()


def explained(name, frames, steps=6):
    """A clip of 4 frames by a method of the registry, padded to `frames`; f ignores the padding."""
    valid = jnp.arange(frames) < 4
    pad = lambda z, value: jnp.pad(z, ((0, frames - 4), (0, 0)), constant_values=value)  # noqa: E731
    f = lambda z: curved(jnp.where(valid[:, None], z, 0)[:4])  # noqa: E731
    clip = jnp.array([[1.0, 2.0], [-3.0, 0.5], [0.3, 0.1], [0.7, -0.4]])
    pool = jnp.stack([pad(0 * clip, 5.0), pad(0.5 * clip + 0.2, 5.0)])
    settings = Settings(method=name, steps=steps, chunk=4)
    run = lambda z: METHODS[name](f, z, pool[0], baselines=lambda: pool, valid=valid, key=KEY, settings=settings)  # noqa: E731
    return jax.jit(run)(pad(clip, 9.0))


@pytest.mark.parametrize("name", METHODS.names())
def test_behind_the_protocol(name):
    plain, padded = explained(name, 4), explained(name, 11)
    for one, other in zip(plain, padded, strict=True):
        np.testing.assert_allclose(one, other[:4] if other.ndim else other, rtol=1e-4, atol=1e-4)
    assert not padded.attribution[4:].any()  # padding gets nothing
    np.testing.assert_allclose(plain.gap, plain.attribution.sum() - (plain.value - plain.baseline_value), atol=1e-4)
    if name == "shapley-sampling":
        assert abs(plain.gap) < 1e-4
    assert explained(name, 4, steps="auto").attribution.any()
    assert jnp.isnan(plain.overlap)


@pytest.mark.parametrize("name", METHODS.names())
def test_defaults_are_those_of_the_settings(name):
    module = importlib.import_module(METHODS[name].__module__)
    function = getattr(module, name.replace("-", "_"), None) or module.random_attribution
    own = {key: p.default for key, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
    number = Settings.steps
    wanted = {
        "rule": Settings.rule,
        "chunk": Settings.chunk,
        "steps": number,
        "samples": number,
        "permutations": number,
    }
    assert {key: value for key, value in own.items() if key in wanted}.items() <= wanted.items()


def test_on_a_linear_function_by_hand():
    np.testing.assert_allclose(saliency(linear, Z), np.abs(WEIGHT))
    np.testing.assert_allclose(gradient_x_input(linear, Z, 1.0), WEIGHT * (Z - 1))
    np.testing.assert_allclose(smooth_grad(linear, Z, key=KEY), WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(magnitude(linear, Z, 1.0), np.abs(Z - 1))
    np.testing.assert_allclose(gradient_shap(linear, Z, jnp.ones((1, 2, 2)), key=KEY), WEIGHT * (Z - 1), rtol=1e-5)


def test_random_knows_only_its_key():
    one = random_attribution(linear, Z, 0.0, key=KEY)
    np.testing.assert_array_equal(one, random_attribution(curved, -Z, 1.0, key=KEY))
    assert (one != random_attribution(linear, Z, 0.0, key=jax.random.key(6))).all()


@pytest.mark.parametrize(
    "method",
    [
        lambda chunk: smooth_grad(curved, Z, key=KEY, samples=7, chunk=chunk),
        lambda chunk: gradient_shap(curved, Z, jnp.stack([0 * Z, 2 * Z]), key=KEY, samples=7, noise=0.1, chunk=chunk),
        lambda chunk: occlusion(curved, Z, 0.0, units=unit_map("element", 2, 2), chunk=chunk),
        lambda chunk: (
            shapley_sampling(
                curved, Z, 0.0, units=unit_map("element", 2, 2), key=KEY, permutations=3, chunk=chunk
            ).attribution
        ),
    ],
)
def test_chunk_changes_nothing(method):
    np.testing.assert_allclose(method(2), method(100), rtol=1e-5, atol=1e-6)


def test_gradient_shap_tends_to_expected_gradients():
    baselines = jnp.stack([0 * Z, 0.5 * Z + 1])
    sampled = gradient_shap(curved, Z, baselines, key=KEY, samples=20_000, chunk=2000)
    np.testing.assert_allclose(sampled, expected_gradients(curved, Z, baselines, steps=500).attribution, rtol=0.05)


def test_occlusion_by_hand():
    units = unit_map("frame", 2, 2)
    losses = [linear(Z) - linear(Z.at[frame].set(1.0)) for frame in (0, 1)]
    np.testing.assert_allclose(occlusion(linear, Z, 1.0, units=units), np.array(losses)[units], rtol=1e-6)


def test_shapley_values_of_a_known_game():
    def game(z):  # 0 and 1 share the product; 2 stands alone; 3 is a dummy
        a, b, c, _ = z.ravel()
        return 6 * a * b + 2 * c

    estimate = shapley_sampling(
        game, jnp.ones((2, 2)), 0.0, units=unit_map("element", 2, 2), key=KEY, permutations=400, chunk=5
    )
    np.testing.assert_allclose(estimate.attribution.sum(), 8, rtol=1e-5)
    np.testing.assert_allclose(estimate.attribution[1], [2, 0], atol=1e-5)
    np.testing.assert_allclose(estimate.standard_error[1], 0, atol=1e-5)
    assert estimate.standard_error[0] == pytest.approx(3 / np.sqrt(400), rel=0.05)  # each adds 0 or 6, evenly
    np.testing.assert_allclose(estimate.attribution[0], 3, atol=4 * 3 / np.sqrt(400))


def test_perturbation_refuses_a_wrong_map():
    with pytest.raises(ValueError, match="unit map"):
        occlusion(linear, Z, 0.0, units=unit_map("frame", 3, 2))
    with pytest.raises(ValueError, match="at least 2"):
        shapley_sampling(linear, Z, 0.0, units=unit_map("frame", 2, 2), key=KEY, permutations=1)


def test_shuffled_weights_keep_their_entries_and_lose_their_order():
    config = TransformerConfig(dim=6, classes=4, frames=10, width=16, layers=1, heads=2, feed_forward=32)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))
    shuffled = shuffled_weights(classifier, KEY)
    for one, other in zip(jax.tree.leaves(classifier), jax.tree.leaves(shuffled), strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
    kernel = np.asarray(classifier.project_in.kernel[...])
    assert (np.asarray(shuffled.project_in.kernel[...]) != kernel).mean() > 0.9
    classify = jax.jit(lambda model: model(jnp.ones((7, 6)), jnp.ones(7, bool)))
    assert (classify(shuffled) != classify(classifier)).all()
