"""Relaxed masks hold their share at every softness, and so do their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.masking.rank import keep_mask
from audex_jax.masking.relax import relaxed_mask


@pytest.mark.parametrize("softness", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("share", [0.06, 0.2, 0.45])
def test_the_share_is_held(normal, share, softness):
    score, counted = 7 * normal(20, 6) - 3, jnp.arange(20) < 15
    mask = relaxed_mask(score, counted, share, softness)
    np.testing.assert_allclose(mask[:15].mean(), share, atol=1e-4)
    assert not mask[15:].any()


def test_a_hard_one_is_the_mask_of_the_ranking(normal):
    score, counted = normal(20, 6), jnp.ones(20, bool)
    mask = relaxed_mask(score, counted, 0.25, 1e-3)
    assert ((mask > 0.5) == keep_mask(score, counted, 0.25)).all()
    assert np.asarray(jnp.minimum(mask, 1 - mask)).mean() < 0.01


def test_what_one_element_gains_the_others_lose(normal):
    score, counted, weights = normal(20, 6), jnp.arange(20) < 15, normal(20, 6)

    def value(score):
        return (weights * relaxed_mask(score, counted, 0.2, 0.3)).sum()

    gradient = jax.grad(value)(score)
    assert not gradient[15:].any()
    np.testing.assert_allclose(gradient.sum(), 0, atol=1e-4)  # a score that is added to all changes nothing
    constant = jax.grad(lambda score: relaxed_mask(score, counted, 0.2, 0.3).sum())(score)
    np.testing.assert_allclose(constant, 0, atol=1e-4)
    step = 1e-2 * normal(20, 6)
    difference = (value(score + step) - value(score - step)) / 2
    np.testing.assert_allclose((gradient * step).sum(), difference, rtol=0.1, atol=1e-3)
