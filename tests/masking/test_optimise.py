"""Mask optimisation on functions whose best mask is known."""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.masking.optimise import margin, optimise_mask
from audex_jax.masking.rank import element_ranks, keep_mask

VALID = jnp.array([True, True, True, False])


def linear(weights):
    """Margins of a linear classifier, one domain: `[m, t, d] -> [1, m]`; padding counts for nothing."""
    return lambda latents: jnp.einsum("mtd,td->m", latents, weights * VALID[:, None])[None] - 1


def test_it_finds_the_evidence_that_the_start_ranks_last(normal):
    weights = normal(4, 5)
    latent = jnp.where(weights > 0, 1.0, 1.5)  # every other element speaks against the target
    score = optimise_mask(linear(weights), latent, -weights, VALID, jnp.zeros((4, 5)), steps=12)
    evidence = np.asarray((latent * weights)[VALID])
    kept = np.asarray(keep_mask(score, VALID, 0.2))[:3]
    best = np.sort(evidence, axis=None)[-kept.sum() :].sum()
    assert evidence[kept].sum() >= 0.9 * best > 0


def test_no_steps_keep_the_order(normal):
    score = normal(4, 5)
    latent, zero = normal(4, 5), jnp.zeros((4, 5))
    same = optimise_mask(linear(latent), latent, score, VALID, zero, steps=0)
    np.testing.assert_array_equal(element_ranks(same, VALID), element_ranks(score, VALID))


def test_padding_changes_nothing(normal):
    weights, latent, score, zero = normal(4, 5), normal(4, 5), normal(4, 5), jnp.zeros((4, 5))
    one = optimise_mask(linear(weights), latent, score, VALID, zero)
    other = optimise_mask(linear(weights), latent.at[3].set(9.0), score.at[3].set(9.0), VALID, zero)
    np.testing.assert_array_equal(one[:3], other[:3])


def test_a_margin_is_the_log_odds(normal):
    logits = normal(3, 7)
    shares = jax.nn.softmax(logits)[:, 2]
    np.testing.assert_allclose(margin(logits, jnp.int32(2)), jnp.log(shares / (1 - shares)), rtol=1e-4)
