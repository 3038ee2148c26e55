"""Mask optimisation on functions whose best mask is known."""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.masking.optimise import margin, optimise_mask
from audex_jax.masking.rank import element_ranks, keep_mask

VALID = jnp.array([True, True, True, False])


def evidence_of(weights, latent):
    """Loss of a linear classifier: what is deleted minus what is kept of its evidence."""
    return lambda mask, step: ((1 - 2 * mask) * weights * latent).sum()


def test_it_finds_the_evidence_that_the_start_ranks_last(normal):
    weights = normal(4, 5)
    latent = jnp.where(weights > 0, 1.0, 1.5)  # every other element speaks against the target
    score = optimise_mask(evidence_of(weights, latent), -weights, VALID, steps=12)
    evidence = np.asarray((latent * weights)[VALID])
    kept = np.asarray(keep_mask(score, VALID, 0.2))[:3]
    best = np.sort(evidence, axis=None)[-kept.sum() :].sum()
    assert evidence[kept].sum() >= 0.9 * best > 0


def test_no_steps_keep_the_order(normal):
    score = normal(4, 5)
    same = optimise_mask(evidence_of(score, score), score, VALID, steps=0)
    np.testing.assert_array_equal(element_ranks(same, VALID), element_ranks(score, VALID))


def test_frames_that_do_not_count_change_nothing(normal):
    weights, latent, score = normal(4, 5), normal(4, 5), normal(4, 5)
    one = optimise_mask(evidence_of(weights, latent), score, VALID)
    other = optimise_mask(evidence_of(weights, latent.at[3].set(9.0)), score.at[3].set(9.0), VALID)
    np.testing.assert_array_equal(one[:3], other[:3])


def test_a_margin_is_the_log_odds(normal):
    logits = normal(3, 7)
    shares = jax.nn.softmax(logits)[:, 2]
    np.testing.assert_allclose(margin(logits, jnp.int32(2)), jnp.log(shares / (1 - shares)), rtol=1e-4)
