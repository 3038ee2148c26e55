"""What `audex check` makes of figures: a classifier that gives one label to all is called collapsed."""

import types
from typing import Any

import numpy as np
import pytest

from audex_jax.evaluation.check import _collapse

LABELS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("predicted", "fine", "says"),
    [
        ([0, 1, 2] * 10, True, "33.3% of clips are called 'a' (right: 33.3%)"),
        ([0, 0, 1, 0, 1, 1] * 5, True, "none 'c'"),  # one label of three is never given: bad, but no collapse
        (
            [1, 1, 1] * 10,
            False,
            "100.0% of clips are called 'b' (right: 33.3%), none 'a'; 'c': the classifier has",
        ),
        ([2, 2, 1] * 10, False, "the classifier has collapsed"),
    ],
)
def test_a_collapsed_classifier_is_called_one(predicted, fine, says):
    scores: Any = types.SimpleNamespace(labels=LABELS, predicted=np.array(predicted), label=np.arange(30) % 3)
    found = _collapse(scores)
    assert found.fine == fine
    assert says in found.answer


def test_clips_of_one_label_may_all_be_called_that():
    scores: Any = types.SimpleNamespace(labels=LABELS, predicted=np.zeros(9, int), label=np.zeros(9, int))
    assert _collapse(scores).fine
