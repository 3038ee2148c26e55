"""Integrated Gradients (arXiv 1703.01365) and expected gradients, beside the axioms of `test_axioms.py`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import (
    draw_baselines,
    expected_gradients,
    integrated_gradients,
    integrated_gradients_of_each,
    logit,
    logits_of,
    relative_gap,
)

T, D = 7, 6
CLIPS = jax.random.normal(jax.random.key(1), (5, T, D))
MIX = jax.random.normal(jax.random.key(2), (D, 4))


def classify(z):
    """Four logits that are no linear functions."""
    return jnp.tanh(z @ MIX).sum(0) + (z[0] @ MIX) ** 2


curved = logit(classify, 1)


def test_completeness_on_the_transformer(classifier_of):
    classifier = classifier_of(2, dim=D, classes=4)
    f = lambda z: classifier(z, jnp.ones(len(z), bool))[1]  # noqa: E731
    result = jax.jit(jax.vmap(lambda z: integrated_gradients(f, z, 0.0, steps=500, chunk=50)))(CLIPS[:3])
    difference, total = result.value - result.baseline_value, result.attribution.sum((1, 2))
    np.testing.assert_allclose(total, difference, atol=2e-3 * np.abs(result.value).max())
    np.testing.assert_allclose(result.gap, total - difference, atol=1e-6)
    np.testing.assert_allclose(relative_gap(result), np.abs(result.gap / difference), rtol=1e-5)


def test_linearity_in_the_function():
    explain = jax.jit(lambda mix: integrated_gradients(lambda z: mix @ classify(z), CLIPS[0], 0.0).attribution)
    parts = [explain(jnp.array(mix)) for mix in ([0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 2.0, -3.0, 0])]
    np.testing.assert_allclose(parts[2], 2 * parts[0] - 3 * parts[1], rtol=1e-4, atol=1e-5)


def test_symmetry():
    z, baseline = jnp.array([[0.7, 0.7, 3.0]]), jnp.array([[-0.2, -0.2, 1.0]])
    result = integrated_gradients(lambda z: jnp.tanh(z[0, 0] * z[0, 1]) + z[0, 0] + z[0, 1], z, baseline)
    assert result.attribution[0, 0] == pytest.approx(result.attribution[0, 1])  # it treats these two alike


def test_baseline_broadcasts():
    explain = jax.jit(lambda baseline: integrated_gradients(curved, CLIPS[0], baseline).attribution)
    mean = CLIPS.mean((0, 1))
    np.testing.assert_allclose(explain(mean), explain(jnp.tile(mean, (T, 1))), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(explain(0.0), explain(jnp.zeros((T, D))), rtol=1e-5, atol=1e-6)


def test_several_labels_from_one_pass_equal_one_by_one():
    several = logits_of(classify, jnp.array([2, 0]))
    together = jax.jit(lambda z: integrated_gradients_of_each(several, z, CLIPS[1], chunk=5))(CLIPS[0])
    explain_one = jax.jit(lambda z, label: integrated_gradients(logit(classify, label), z, CLIPS[1]))
    for place, label in enumerate((2, 0)):
        for one, other in zip(together, explain_one(CLIPS[0], label), strict=True):
            np.testing.assert_allclose(one[place], other, rtol=1e-4, atol=1e-5)


def test_expectation_is_the_mean_of_its_parts():
    result = jax.jit(lambda z: expected_gradients(curved, z, CLIPS[1:4], steps=5, chunk=3))(CLIPS[0])
    one = jax.vmap(lambda baseline: integrated_gradients(curved, CLIPS[0], baseline, steps=5))
    for field, part in zip(result[:4], jax.jit(one)(CLIPS[1:4])[:4], strict=True):
        np.testing.assert_allclose(field, part.mean(0), rtol=1e-4, atol=1e-4)


def test_drawn_baselines_are_different_clips_and_follow_the_key():
    drawn = draw_baselines(jax.random.key(3), CLIPS, 4)
    assert len({float(clip.sum()) for clip in drawn}) == 4
    np.testing.assert_array_equal(drawn, draw_baselines(jax.random.key(3), CLIPS, 4))
    with pytest.raises(ValueError, match="cannot draw 6"):
        draw_baselines(jax.random.key(3), CLIPS, 6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"baseline": jnp.zeros((T + 1, D))}, "does not broadcast"),
        ({"baseline": jnp.zeros((2, T, D))}, "does not broadcast"),
        ({"steps": 0}, "whole number of at least 1"),
        ({"chunk": 0}, "chunk is 0"),
        ({"rule": "simpson"}, "choose one of graded-middle"),
        ({"f": lambda z: z.sum(0)}, "must return one number"),
        ({"steps": "auto", "axis": "points"}, "give their number"),
    ],
)
def test_bad_input_is_named(change, says):
    arguments = {"f": lambda z: z.sum(), "latent": jnp.ones((T, D)), "baseline": 0.0} | change
    with pytest.raises(ValueError, match=says):
        integrated_gradients(**arguments)


@pytest.mark.parametrize("devices", [2, 4])
def test_points_divided_among_devices_are_the_points_of_one(devices):
    explain = functools.partial(
        integrated_gradients, curved, CLIPS[0], CLIPS[1], rule="gauss-legendre", steps=9, chunk=2
    )
    whole = jax.jit(explain)()
    divided = jax.jit(jax.vmap(lambda _: explain(axis="points"), axis_name="points"))(jnp.arange(devices))
    for name in ("attribution", "gap", "points"):
        for own in getattr(divided, name):
            np.testing.assert_allclose(own, getattr(whole, name), rtol=1e-4, atol=1e-5)


def test_two_thousand_points_need_the_memory_of_sixteen():
    weight = jnp.ones((16, 512))

    def bytes_of(steps: int, chunk: int) -> int:
        def explain(clip):
            return integrated_gradients(lambda z: jnp.tanh(z @ weight).sum(), clip, 0.0, steps=steps, chunk=chunk)

        return jax.jit(explain).lower(jnp.ones((50, 16))).compile().memory_analysis().temp_size_in_bytes

    few = bytes_of(16, 8)
    assert bytes_of(2000, 8) <= 1.05 * few + 3 * 4 * 2000  # the rule itself: a node and a weight a point
    assert bytes_of(2000, 2000) > 20 * few  # the measure can tell: without chunks it does grow
