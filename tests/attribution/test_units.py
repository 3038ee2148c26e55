import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import SIGNS, UNITS, importance, spread, unit_map, unit_mask, unit_scores

A = jnp.array([[1.0, -2.0, 3.0, 0.5], [-1.0, 4.0, 0.0, 2.0], [5.0, -6.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("unit", "size", "scores"),
    [
        ("element", 1, [1, -2, 3, 0.5, -1, 4, 0, 2, 5, -6, 1, 1]),
        ("frame", 1, [2.5, 5, 1]),
        ("dimension", 1, [5, -4, 4, 3.5]),
        ("frame-group", 3, [2, 0.5, 3, 2, 0, 1]),
        ("segment", 2, [7.5, 1]),
    ],
)
def test_scores_of_each_unit(unit, size, scores):
    units = unit_map(unit, 3, 4, size)
    assert sorted(set(units.ravel())) == list(range(len(scores)))
    np.testing.assert_allclose(unit_scores(A, units), scores)
    assert unit_scores(A, units).sum() == pytest.approx(A.sum())


def test_sign_is_treated_before_the_sum():
    units = unit_map("frame", 3, 4)
    np.testing.assert_allclose(unit_scores(importance(A, "positive"), units), [4.5, 6, 7])
    np.testing.assert_allclose(unit_scores(importance(A, "absolute"), units), [6.5, 7, 13])
    np.testing.assert_array_equal(importance(A, "signed"), A)


def test_spread_and_mask_act_on_whole_units():
    units = unit_map("segment", 3, 2, 2)
    np.testing.assert_array_equal(spread(jnp.array([5.0, 7.0]), units), [[5, 5], [5, 5], [7, 7]])
    np.testing.assert_array_equal(unit_mask(jnp.array([False, True]), units), [[0, 0], [0, 0], [1, 1]])


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=UNITS[0]):
        unit_map("word", 3, 4)
    with pytest.raises(ValueError, match=SIGNS[2]):
        importance(A, "best")
    with pytest.raises(ValueError, match="size is 0"):
        unit_map("segment", 3, 4, 0)
