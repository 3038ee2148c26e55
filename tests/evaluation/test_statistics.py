"""Intervals and tests against what is known of binomials, and against a null in which speakers differ."""

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from audex_jax.evaluation.statistics import FEWEST, area, bootstrap, compare, holm, sign_flip


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


def test_one_speaker_tells_no_interval(rng):
    values = rng.random(30)
    found = bootstrap(values, ["one"] * 30)
    assert found.mean == pytest.approx(values.mean())
    assert np.isnan([found.low, found.high]).all()


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
    assert compare(base, base) == (0, 0, 0, None)


@pytest.mark.parametrize(("wins", "losses"), [(5, 5), (8, 1), (3, 0), (700, 260)])
def test_clips_alone_are_tested_as_mcnemar_does(wins, losses):
    difference = np.array([1.0] * wins + [-1.0] * losses + [0.0] * 6 + [np.nan])
    assert sign_flip(difference) == pytest.approx(binomtest(wins, wins + losses).pvalue, rel=1e-9)


def test_signs_are_flipped_speaker_by_speaker(rng):
    speakers = rng.integers(9, size=60)
    whole = rng.integers(-2, 3, size=60) / 5.0
    sums = np.bincount(speakers, whole)
    expected = permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip(whole, speakers.tolist()) == pytest.approx(expected, rel=1e-9)
    drawn = sign_flip(whole + 1e-3 * rng.random(60), speakers.tolist())  # no whole numbers of anything
    assert drawn == pytest.approx(expected, abs=0.05)


def test_speakers_that_differ_make_no_false_findings(rng):
    """Two methods that are equally good, each better for half of the speakers: 5 % may be found, not 20 %."""
    trials, found = 250, np.zeros((250, 2), bool)
    for trial in range(trials):
        speakers = np.repeat(np.arange(14), rng.integers(3, 12, size=14))
        taste = rng.normal(size=14)[speakers] + rng.normal(0, 0.7, size=len(speakers))
        difference = np.sign(taste) * (rng.random(len(speakers)) < 0.5)
        tests = sign_flip(difference, speakers.tolist()), sign_flip(difference)
        found[trial] = [p is not None and p < 0.05 for p in tests]
    by_speaker, by_clip = found.mean(0)
    assert by_speaker <= 0.08
    assert by_clip > 0.12


def test_intervals_of_few_speakers_hold_what_they_say(rng):
    missed = 0
    for _ in range(200):
        speakers = np.repeat(np.arange(8), 6)
        found = bootstrap(rng.normal(size=8)[speakers] + rng.normal(size=48), speakers.tolist(), 400)
        missed += not found.low <= 0 <= found.high
    assert missed / 200 <= 0.08


def test_too_few_speakers_tell_nothing():
    one, other = np.ones(40), np.zeros(40)
    found = compare(one, other, [str(i % (FEWEST - 1)) for i in range(40)])
    assert (found.difference, found.p) == (1, None)
    assert np.isnan([found.low, found.high]).all()
    assert compare(one, other, [str(i % FEWEST) for i in range(40)]).p == pytest.approx(2 / 2**FEWEST)
    assert compare(one * np.nan, other).p is None


def test_holm_by_hand():
    assert holm([0.03, 0.01, None, 0.02]) == pytest.approx([0.04, 0.03, None, 0.04])
    assert holm([None]) == [None]
    assert holm([0.9, 0.8]) == [1, 1]


def test_area_of_a_straight_line_on_an_uneven_grid():
    grid = (0.0, 0.1, 0.5, 1.0)
    assert area(np.array([grid, grid]), grid, 1).tolist() == [0.5, 0.5]
