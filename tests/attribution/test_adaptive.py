import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import convergence, integrated_gradients
from audex_jax.attribution.adaptive import top_overlap

WEIGHT = jax.random.normal(jax.random.key(0), (40, 12))
CLIPS = jax.random.normal(jax.random.key(1), (3, 8, 5))


def kinked(z):  # a small ReLU net: its gradient jumps along the path
    return jax.nn.relu(WEIGHT[:, :8] @ z @ WEIGHT[:5, :3] + WEIGHT[:, 8:11]).sum()


def auto(f, z, baseline=0.0, **options):
    return jax.jit(lambda z: integrated_gradients(f, z, baseline, steps="auto", **options))(z)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_equals_the_trapezoid_rule_of_as_many_points(chunk):
    result = auto(kinked, CLIPS[0], rule="riemann-middle", chunk=chunk, tolerance=0.0, most=40)
    assert result.points == 33
    fixed = integrated_gradients(kinked, CLIPS[0], 0.0, rule="riemann-trapezoid", steps=33)
    np.testing.assert_allclose(result.attribution, fixed.attribution, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.gap, fixed.gap, atol=1e-3)


def test_graded_points_add_up_and_rank_as_the_exact_integral():
    def steep(z):  # moves near the baseline
        return jnp.arcsinh(30 * z).sum() + kinked(z)

    exact = integrated_gradients(steep, CLIPS[0], 0.0, steps=4000, chunk=500)
    plain, graded = (auto(steep, CLIPS[0], rule=rule, most=2000) for rule in ("riemann-middle", "graded-middle"))
    assert graded.points <= plain.points
    assert abs(graded.gap) <= 0.05 * abs(graded.value - graded.baseline_value)
    assert top_overlap(graded.attribution, exact.attribution, 0.2) >= 0.85
    linear = auto(lambda z: (WEIGHT[:8, :5] * z).sum(), CLIPS[0], rule="graded-middle")
    np.testing.assert_allclose(linear.attribution, WEIGHT[:8, :5] * CLIPS[0], rtol=1e-5)


def test_reaches_the_overlap_it_was_asked_for_and_takes_more_points_for_a_stricter_wish():
    exact = jax.jit(lambda z: integrated_gradients(kinked, z, 0.0, steps=4000, chunk=500))
    run = jax.jit(lambda z: integrated_gradients(kinked, z, 0.0, steps="auto", overlap=0.95, most=2000))
    for z in CLIPS:
        result = run(z)
        assert top_overlap(result.attribution, exact(z).attribution, 0.2) >= 0.85  # one of the top 8 makes it 0.875
        assert abs(result.gap) <= 0.05 * abs(result.value - result.baseline_value)
    loose, strict = (auto(kinked, CLIPS[0], tolerance=t, most=5000, overlap=0.5).points for t in (0.5, 1e-5))
    assert loose < strict


def test_each_clip_of_a_batch_keeps_its_own_result():
    def f(z):  # smooth or kinked, by the clip's own first element, which is the same all along the path
        return jnp.where(z[0, 0] > 0, z.sum(), kinked(z))

    clips = CLIPS.at[:, 0, 0].set(jnp.array([1.0, -1.0, 1.0]))
    baseline = jnp.zeros((3, 8, 5)).at[:, 0, 0].set(clips[:, 0, 0])
    options = {"rule": "riemann-middle", "tolerance": 1e-4}
    run = jax.jit(jax.vmap(lambda z, z0: integrated_gradients(f, z, z0, steps="auto", **options)))
    together = run(clips, baseline)
    assert together.points[0] == together.points[2] == 9 < together.points[1]
    for i in range(3):
        alone = auto(f, clips[i], baseline[i], **options)
        np.testing.assert_array_equal(together.points[i], alone.points)
        np.testing.assert_allclose(together.attribution[i], alone.attribution, rtol=1e-4, atol=1e-5)


def test_stops_at_the_most_and_at_what_is_not_finite():
    assert auto(kinked, CLIPS[0], tolerance=0.0, most=20).points == 17
    bad = auto(lambda z: jnp.sqrt(jnp.abs(z)).sum(), CLIPS[0])
    assert bad.points == 5
    assert jnp.isnan(bad.overlap)
    assert not convergence(bad).reliable


@pytest.mark.parametrize(
    ("options", "says"),
    [({"most": 8}, "at most 8 points"), ({"overlap": 0.0}, "overlap is 0"), ({"share": 1.2}, "1.2")],
)
def test_refuses_impossible_wishes(options, says):
    with pytest.raises(ValueError, match=says):
        integrated_gradients(kinked, CLIPS[0], 0.0, steps="auto", **options)


def test_padding_changes_neither_the_points_nor_the_overlap():
    def explain(padding, steps):
        valid = jnp.arange(8 + padding) < 8
        f = lambda z: kinked(jnp.where(valid[:, None], z, 0)[:8])  # noqa: E731
        z = jnp.pad(CLIPS[0], ((0, padding), (0, 0)), constant_values=9)
        run = jax.jit(lambda z: integrated_gradients(f, z, 0.0, steps=steps, valid=valid, tolerance=1e-3, most=2000))
        return run(z)

    plain, *padded = (explain(padding, "auto") for padding in (0, 4, 40))
    assert 9 < plain.points < 1025
    for result in padded:
        assert result.points == plain.points
        assert result.overlap == plain.overlap <= 1
        np.testing.assert_allclose(result.attribution[:8], plain.attribution, rtol=1e-4, atol=1e-5)
        assert not result.attribution[8:].any()


def test_overlap_counts_valid_elements_and_takes_ties_in_order():
    one, other = jnp.zeros((10, 2)).at[0, 0].set(1.0), jnp.zeros((10, 2)).at[3, 0].set(1.0)
    assert top_overlap(one, 2 * one, 0.2) == 1
    assert top_overlap(one, other, 0.2) == 0.75  # of 4: both have (0, 0), (0, 1) and (1, 0)
    assert top_overlap(one, other, 0.2, jnp.arange(10) < 4) == 0.5  # of 2: both have (0, 0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rule", ["graded-middle", "riemann-middle"])
def test_half_precision(dtype, rule):
    z = CLIPS[0].astype(dtype)
    result = auto(lambda z: jnp.tanh(z).sum(), z, rule=rule)
    assert result.attribution.dtype == z.dtype
    assert convergence(result).reliable
    np.testing.assert_allclose(result.attribution.astype(float), np.tanh(z.astype(float)), atol=0.03)
