"""Who hears what: everything equally often, and nobody a clip by two methods before naming it."""

from collections import Counter

import pytest

from audex_jax.study.design import draw_sheets, names_for, pairs_of, round_of


@pytest.mark.parametrize("methods", [1, 2, 3, 4])
@pytest.mark.parametrize("clips", [1, 5, 8])
def test_everything_is_heard_equally_often(clips, methods):
    sheets = draw_sheets(clips, methods, 2 * round_of(methods), seed=3)
    named = Counter(trial for sheet in sheets for trial in sheet.naming)
    assert len(named) == clips * methods
    assert set(named.values()) == {len(sheets) // methods}
    compared = Counter(trial for sheet in sheets for trial in sheet.comparing)
    assert len(compared) == clips * len(pairs_of(methods))
    assert set(compared.values()) <= {len(sheets) // max(len(pairs_of(methods)), 1)}


def test_a_listener_hears_each_clip_once_in_each_part_and_methods_alike():
    for sheet in draw_sheets(9, 3, 6, seed=0):
        assert sorted(clip for clip, _ in sheet.naming) == list(range(9))
        assert sorted(clip for clip, _, _ in sheet.comparing) == list(range(9))
        assert set(Counter(method for _, method in sheet.naming).values()) == {3}
        assert all(first != second for _, first, second in sheet.comparing)


def test_the_seed_decides_everything():
    assert draw_sheets(8, 3, 6, seed=1) == draw_sheets(8, 3, 6, seed=1)
    assert draw_sheets(8, 3, 6, seed=1) != draw_sheets(8, 3, 6, seed=2)
    orders = [tuple(clip for clip, _ in sheet.naming) for sheet in draw_sheets(8, 3, 6, seed=1)]
    assert len(set(orders)) == 6  # every listener has an order of their own


def test_names_of_sounds_are_different_and_drawn():
    names = names_for(500, seed=0)
    assert len(set(names)) == 500
    assert set(names).isdisjoint(names_for(500, seed=1))
