import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution.chunks import chunk_index, weighted_sum


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_sum_over_a_tree_of_points(chunk):
    points = {"a": np.arange(7.0), "key": jax.random.split(jax.random.key(0), 7)}
    weights = np.linspace(-1, 1, 7)

    def function(point):
        return point["a"] * jnp.ones((2, 3)) + jax.random.normal(point["key"], (2, 3))

    expected = sum(
        w * function({"a": a, "key": k}) for w, a, k in zip(weights, points["a"], points["key"], strict=True)
    )
    np.testing.assert_allclose(weighted_sum(function, points, weights, chunk), expected, rtol=1e-5, atol=1e-5)


def test_filling_cannot_spoil_the_sum():
    total = weighted_sum(lambda x: 1 / x, np.array([1.0, 2.0, 4.0]), np.ones(3), chunk=2)  # 0 as filling would be inf
    assert total == pytest.approx(1.75)


@pytest.mark.parametrize(("count", "chunk"), [(0, 4), (4, 0), (4, 2.0), (4, True)])
def test_refuses_no_points_and_no_chunk(count, chunk):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        chunk_index(count, chunk)
