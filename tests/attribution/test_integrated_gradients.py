"""The axioms of Integrated Gradients (arXiv 1703.01365), and slow path against fast path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.attribution import (
    convergence,
    draw_baselines,
    expected_gradients,
    integrated_gradients,
    integrated_gradients_of_each,
    logits_of,
    relative_gap,
)
from audex_jax.attribution import (
    logit as logit_of,
)
from audex_jax.attribution.adaptive import top_overlap
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig

T, D = 7, 6


@pytest.fixture(scope="module")
def classifier():
    config = TransformerConfig(dim=D, classes=4, frames=10, width=16, layers=2, heads=2, feed_forward=32)
    return LatentTransformer(config, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def logit(classifier):
    return lambda z: classifier(z, jnp.ones(len(z), bool))[1]


@pytest.fixture(scope="module")
def clips():
    return jax.random.normal(jax.random.key(1), (5, T, D))


def test_completeness_on_the_transformer(logit, clips):
    result = jax.jit(jax.vmap(lambda z: integrated_gradients(logit, z, 0.0, steps=500, chunk=50)))(clips)
    np.testing.assert_allclose(result.value, jax.vmap(logit)(clips), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        result.attribution.sum((1, 2)), result.value - result.baseline_value, atol=2e-3 * np.abs(result.value).max()
    )
    np.testing.assert_allclose(
        result.gap, result.attribution.sum((1, 2)) - (result.value - result.baseline_value), atol=1e-6
    )
    np.testing.assert_allclose(
        relative_gap(result), np.abs(result.gap / (result.value - result.baseline_value)), rtol=1e-5
    )


def test_linear_function_is_weight_times_difference(clips):
    weight = jax.random.normal(jax.random.key(2), (T, D))
    result = integrated_gradients(lambda z: (weight * z).sum(), clips[0], clips[1], steps=3)
    np.testing.assert_allclose(result.attribution, weight * (clips[0] - clips[1]), rtol=1e-5, atol=1e-6)
    assert abs(result.gap) < 1e-5


def test_linearity_in_the_function(classifier, clips):
    def function(a, b):
        return lambda z: jnp.array([0.0, a, b, 0.0]) @ classifier(z, jnp.ones(T, bool))

    explain = jax.jit(lambda a, b: integrated_gradients(function(a, b), clips[0], 0.0).attribution)
    parts = [explain(*weights) for weights in [(1.0, 0.0), (0.0, 1.0), (2.0, -3.0)]]
    np.testing.assert_allclose(parts[2], 2 * parts[0] - 3 * parts[1], rtol=1e-4, atol=1e-5)


def test_dummy_and_symmetry():
    z, baseline = jnp.array([[0.7, 0.7, 3.0]]), jnp.array([[-0.2, -0.2, 1.0]])
    result = integrated_gradients(lambda z: jnp.tanh(z[0, 0] * z[0, 1]) + z[0, 0] + z[0, 1], z, baseline)
    assert result.attribution[0, 2] == 0  # the function does not read it
    assert result.attribution[0, 0] == pytest.approx(result.attribution[0, 1])  # it treats these two alike


def test_implementation_invariance(clips):
    one = integrated_gradients(lambda z: jnp.log1p(jnp.exp(z)).sum(), clips[0], 0.0).attribution
    other = integrated_gradients(lambda z: jax.nn.softplus(z).sum(), clips[0], 0.0).attribution
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_gauss_points_are_exact_for_polynomials():
    z = jnp.array([[1.5, -0.5]])

    def f(z):
        return (z**6).sum()  # a gradient of degree 5: 3 points suffice, 2 do not

    exact = integrated_gradients(f, z, 0.0, rule="gauss-legendre", steps=3)
    np.testing.assert_allclose(exact.attribution, z**6, rtol=1e-5)
    assert abs(integrated_gradients(f, z, 0.0, rule="gauss-legendre", steps=2).gap) > 1e-2


def test_chunk_changes_nothing(logit, clips):
    def attribution(chunk):
        explain = jax.jit(lambda z: integrated_gradients(logit, z, clips[1], steps=13, chunk=chunk).attribution)
        return explain(clips[0])

    at_once = attribution(13)
    for chunk in (1, 5, 100):
        np.testing.assert_allclose(attribution(chunk), at_once, rtol=1e-4, atol=1e-6)


def test_batch_order_does_not_matter(logit, clips):
    order = jnp.array([3, 1, 4, 0, 2])
    run = jax.jit(jax.vmap(lambda z: integrated_gradients(logit, z, 0.0).attribution))
    np.testing.assert_allclose(run(clips[order]), run(clips)[order], rtol=1e-5, atol=1e-6)


def test_baseline_broadcasts(logit, clips):
    mean = clips.mean((0, 1))
    explain = jax.jit(lambda baseline: integrated_gradients(logit, clips[0], baseline).attribution)
    np.testing.assert_allclose(explain(mean), explain(jnp.tile(mean, (T, 1))), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(explain(0.0), explain(jnp.zeros((T, D))), rtol=1e-5, atol=1e-6)


def test_several_labels_from_one_pass_equal_one_by_one(classifier, clips):
    def classify(z):
        return classifier(z, jnp.ones(len(z), bool))

    labels = [2, 0]

    @jax.jit
    def explain(z):
        return integrated_gradients_of_each(logits_of(classify, jnp.array(labels)), z, clips[1], chunk=5)

    explain_one = jax.jit(lambda z, label: integrated_gradients(logit_of(classify, label), z, clips[1]))
    together = explain(clips[0])
    for place, label in enumerate(labels):
        alone = explain_one(clips[0], label)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[place], other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [3, 64])
def test_expectation_is_the_mean_of_its_parts(clips, chunk):
    def f(z):
        return jnp.tanh(z[0] * z[1]).sum() + (z**3).sum()

    result = expected_gradients(f, clips[0], clips[1:4], steps=5, chunk=chunk)
    parts = jax.vmap(lambda baseline: integrated_gradients(f, clips[0], baseline, steps=5))(clips[1:4])
    for field, part in zip(result[:4], parts[:4], strict=True):
        np.testing.assert_allclose(field, part.mean(0), rtol=1e-4, atol=1e-4)


def test_drawn_baselines_are_different_clips_and_follow_the_key(clips):
    drawn = draw_baselines(jax.random.key(3), clips, 4)
    assert len({float(clip.sum()) for clip in drawn}) == 4
    np.testing.assert_array_equal(drawn, draw_baselines(jax.random.key(3), clips, 4))
    with pytest.raises(ValueError, match="cannot draw 6"):
        draw_baselines(jax.random.key(3), clips, 6)


def test_relative_gap_is_undefined_without_a_difference(clips):
    result = integrated_gradients(lambda z: 0.0 * z.sum(), clips[0], 0.0)
    assert np.isnan(relative_gap(result))


def test_published_size_with_automatic_steps():
    classifier = LatentTransformer(TransformerConfig(dim=128, classes=35, frames=75), rngs=nnx.Rngs(0))

    @jax.jit
    def explain(classifier, z):
        f = logit_of(lambda z: classifier(z, jnp.ones(75, bool)), 3)
        fine = integrated_gradients(f, z, 0.0, steps=96)
        return integrated_gradients(f, z, 0.0, steps="auto"), fine

    result, fine = explain(classifier, jax.random.normal(jax.random.key(4), (75, 128)))
    assert convergence(result).reliable
    assert result.points <= 33
    assert top_overlap(result.attribution, fine.attribution, 0.2) > 0.98


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"baseline": jnp.zeros((T + 1, D))}, "does not broadcast"),
        ({"baseline": jnp.zeros((2, T, D))}, "does not broadcast"),
        ({"steps": 0}, "whole number of at least 1"),
        ({"chunk": 0}, "chunk is 0"),
        ({"rule": "simpson"}, "choose one of graded-middle"),
        ({"f": lambda z: z.sum(0)}, "must return one number"),
    ],
)
def test_bad_input_is_named(change, says):
    arguments = {"f": lambda z: z.sum(), "latent": jnp.ones((T, D)), "baseline": 0.0} | change
    with pytest.raises(ValueError, match=says):
        integrated_gradients(**arguments)


def test_points_divided_among_devices_are_the_points_of_one(logit, clips):
    def explain(_, axis="points"):
        return integrated_gradients(logit, clips[0], clips[1], rule="gauss-legendre", steps=9, chunk=2, axis=axis)

    whole = jax.jit(lambda: explain(None, axis=None))()
    for devices in (1, 2, 4):
        divided = jax.jit(jax.vmap(explain, axis_name="points"))(jnp.arange(devices))
        for name in ("attribution", "gap", "points"):
            for own in getattr(divided, name):
                np.testing.assert_allclose(own, getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_automatic_steps_cannot_be_divided(logit, clips):
    with pytest.raises(ValueError, match="give their number"):
        integrated_gradients(logit, clips[0], 0.0, steps="auto", axis="points")
