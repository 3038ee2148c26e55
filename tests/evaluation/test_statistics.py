import numpy as np
import pytest

from audex_jax.evaluation.statistics import area, bootstrap, compare, mcnemar


def test_the_interval_is_that_of_the_binomial(rng):
    values = (rng.random(400) < 0.7).astype(float)
    found = bootstrap(values)
    error = 1.96 * np.sqrt(found.mean * (1 - found.mean) / 400)
    assert found.mean == values.mean()
    assert found.low == pytest.approx(found.mean - error, abs=0.01)
    assert found.high == pytest.approx(found.mean + error, abs=0.01)


def test_clips_of_one_speaker_widen_the_interval(rng):
    speakers = np.repeat(np.arange(20), 20)
    values = (rng.random(20) < 0.5)[speakers].astype(float)  # a speaker's clips all do alike
    by_clip, by_speaker = bootstrap(values), bootstrap(values, speakers.tolist())
    assert by_speaker.mean == pytest.approx(by_clip.mean)
    assert by_speaker.high - by_speaker.low > 3 * (by_clip.high - by_clip.low)


def test_what_is_not_defined_is_left_out_and_counted():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [0.0, np.nan]])
    found = bootstrap(values)
    assert found.mean[0] == 0.5
    assert found.count.tolist() == [2, 0]
    assert np.isnan([found.mean[1], found.low[1], found.high[1]]).all()


def test_columns_share_their_draws(rng):
    values = rng.normal(size=(50, 1))
    both = bootstrap(np.concatenate([values, values + 1], 1))
    assert both.low[1] == pytest.approx(both.low[0] + 1)
    assert bootstrap(values).low[0] == pytest.approx(both.low[0])


def test_a_paired_difference_is_narrower_than_its_parts(rng):
    base = rng.random(200) < 0.5
    better = base | (rng.random(200) < 0.2)
    found = compare(better, base)
    assert 0 < found.low < found.difference < found.high
    assert found.p < 1e-4
    assert compare(base, base) == (0, 0, 0, 1)


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (5, 5, 1.0), (8, 1, 2 * (1 + 9) / 512), (3, 0, 0.25)])
def test_mcnemar_counts_what_differs(wins, losses, p):
    one = np.array([True] * wins + [False] * losses + [True] * 4)
    other = np.array([False] * wins + [True] * losses + [True] * 4)
    assert mcnemar(one, other) == pytest.approx(p)


def test_area_of_a_straight_line_on_an_uneven_grid():
    grid = (0.0, 0.1, 0.5, 1.0)
    assert area(np.array([grid, grid]), grid, 1).tolist() == [0.5, 0.5]
