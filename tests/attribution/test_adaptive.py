import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import integrated_gradients, verdict
from audex_jax.attribution.adaptive import _highest, top_overlap

WEIGHT = jax.random.normal(jax.random.key(0), (40, 12))
CLIPS = jax.random.normal(jax.random.key(1), (3, 8, 5))


def kinked(z):  # a small ReLU net: its gradient jumps along the path
    return jax.nn.relu(WEIGHT[:, :8] @ z @ WEIGHT[:5, :3] + WEIGHT[:, 8:11]).sum()


def auto(f, z, baseline=0.0, **options):
    return jax.jit(lambda z: integrated_gradients(f, z, baseline, steps="auto", **options))(z)


def test_a_smooth_function_needs_the_fewest_points():
    assert auto(lambda z: (WEIGHT[:8, :5] * z).sum(), CLIPS[0]).points == 9


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_equals_the_trapezoid_rule_of_as_many_points(chunk):
    result = auto(kinked, CLIPS[0], chunk=chunk, tolerance=0.0, most=40)
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


def test_reaches_the_overlap_it_was_asked_for():
    for z in CLIPS:
        exact = integrated_gradients(kinked, z, 0.0, steps=4000, chunk=500)
        result = auto(kinked, z, overlap=0.95, most=2000)
        assert top_overlap(result.attribution, exact.attribution, 0.2) >= 0.85  # one element of the top 8 is 0.875
        assert abs(result.gap) <= 0.05 * abs(result.value - result.baseline_value)


def test_more_points_for_a_stricter_wish():
    loose, strict = (auto(kinked, CLIPS[0], tolerance=t, most=5000, overlap=0.5).points for t in (0.5, 1e-5))
    assert loose < strict


def test_each_clip_of_a_batch_keeps_its_own_result():
    def f(z):  # smooth or kinked, by the clip's own first element, which is the same all along the path
        return jnp.where(z[0, 0] > 0, z.sum(), kinked(z))

    clips = CLIPS.at[:, 0, 0].set(jnp.array([1.0, -1.0, 1.0]))
    baseline = jnp.zeros((3, 8, 5)).at[:, 0, 0].set(clips[:, 0, 0])
    run = jax.jit(jax.vmap(lambda z, z0: integrated_gradients(f, z, z0, steps="auto", tolerance=1e-4)))
    together = run(clips, baseline)
    assert together.points[0] == together.points[2] == 9 < together.points[1]
    for i in range(3):
        alone = auto(f, clips[i], baseline[i], tolerance=1e-4)
        np.testing.assert_array_equal(together.points[i], alone.points)
        np.testing.assert_allclose(together.attribution[i], alone.attribution, rtol=1e-4, atol=1e-5)


def test_stops_at_the_most_and_at_what_is_not_finite():
    assert auto(kinked, CLIPS[0], tolerance=0.0, most=20).points == 17
    bad = auto(lambda z: jnp.sqrt(jnp.abs(z)).sum(), CLIPS[0])
    assert bad.points == 5
    assert jnp.isnan(bad.overlap)
    assert not verdict(bad).reliable


@pytest.mark.parametrize(
    ("options", "says"),
    [({"most": 8}, "at most 8 points"), ({"overlap": 0.0}, "overlap is 0"), ({"share": 1.2}, "1.2")],
)
def test_refuses_impossible_wishes(options, says):
    with pytest.raises(ValueError, match=says):
        integrated_gradients(kinked, CLIPS[0], 0.0, steps="auto", **options)


@pytest.mark.parametrize("count", [1, 7, 39, 40])
def test_the_highest_are_those_that_sorting_finds(count):
    values = CLIPS[0].at[0, 0].set(-0.0).at[1, 1].set(-1e30)
    chosen = np.argsort(np.asarray(values).ravel())[-count:]
    assert set(np.flatnonzero(_highest(values, count))) == set(chosen)


def test_a_batch_costs_what_its_clips_need_and_not_what_the_hardest_needs():
    taken = []

    def f(z):  # counts its gradients; kinked for one clip in six
        jax.debug.callback(lambda: taken.append(1))
        return jnp.where(z[0, 0] > 0, z.sum(), kinked(z))

    clips = jnp.tile(CLIPS[:1], (6, 1, 1)).at[:, 0, 0].set(jnp.array([1.0, 1.0, -1.0, 1.0, 1.0, 1.0]))
    baseline = jnp.zeros_like(clips).at[:, 0, 0].set(clips[:, 0, 0])
    options = {"steps": "auto", "tolerance": 1e-5, "most": 5000}
    points = jax.vmap(lambda z, z0: integrated_gradients(f, z, z0, **options).points)(clips, baseline)
    jax.effects_barrier()
    assert points[2] > points.sum() - points[2] == 9 * 5
    ends, rows = 2 * len(clips), 4 * len(clips) // 2
    assert len(taken) <= points.sum() + ends + 10 * rows  # a turn of filling at each of ten levels
