"""Masks are pure functions of (attribution, share); nothing that was cut in one place shows in another."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.explanation import RANKINGS, edit, keep_mask


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.417, 0.5, 0.99, 1.0])
def test_exactly_the_highest_share_is_kept(rng, share):
    score = rng.normal(size=(10, 6)).astype(np.float32)
    mask = np.asarray(keep_mask(jnp.asarray(score), jnp.ones(10, bool), share))
    count = round(share * 60)
    assert mask.sum() == count
    if 0 < count < 60:
        assert score[mask].min() > score[~mask].max()


def test_padding_is_neither_ranked_nor_counted(rng):
    score = jnp.asarray(rng.normal(size=(10, 6)), jnp.float32).at[7:].set(100.0)
    valid = jnp.arange(10) < 7
    mask = keep_mask(score, valid, 0.5)
    assert int(mask.sum()) == 21
    assert not mask[7:].any()
    np.testing.assert_array_equal(mask[:7], keep_mask(score[:7], jnp.ones(7, bool), 0.5))


def test_ties_go_to_the_first_element():
    mask = keep_mask(jnp.zeros((2, 3)), jnp.ones(2, bool), 0.5)
    assert mask.tolist() == [[True, True, True], [False, False, False]]


def test_masks_of_smaller_shares_lie_within_those_of_larger_ones(rng):
    score = jnp.asarray(rng.normal(size=(10, 6)), jnp.float32)
    masks = [keep_mask(score, jnp.ones(10, bool), share) for share in (0.1, 0.3, 0.8)]
    for small, large in itertools.pairwise(masks):
        assert not (small & ~large).any()


def test_kept_and_deleted_are_complements_and_the_latent_stays(normal):
    latent, score, filler = normal(10, 6), normal(10, 6), normal(10, 6)
    before = np.asarray(latent).copy()
    mask, kept, deleted = edit(latent, score, jnp.ones(10, bool), 0.3, filler)
    np.testing.assert_array_equal(jnp.where(mask, kept, deleted), latent)
    np.testing.assert_array_equal(jnp.where(mask, deleted, kept), filler)
    np.testing.assert_array_equal(latent, before)


def test_everything_kept_is_the_clip_and_nothing_kept_is_the_filler(normal):
    latent, score, filler = normal(10, 6), normal(10, 6), normal(10, 6)
    valid = jnp.ones(10, bool)
    np.testing.assert_array_equal(edit(latent, score, valid, 1.0, filler).kept, latent)
    np.testing.assert_array_equal(edit(latent, score, valid, 0.0, filler).kept, filler)


def test_rankings_put_planted_evidence_first(normal):
    latent, baseline = jnp.ones((10, 6)), jnp.zeros((10, 6))
    attribution = (0.01 * normal(10, 6)).at[4, 2].set(5.0).at[5, 1].set(-6.0)
    best = {name: int(rank(attribution, latent, baseline).argmax()) for name, rank in RANKINGS.items()}
    assert best["signed"] == 4 * 6 + 2  # evidence for
    assert best["absolute"] == best["weighted"] == 5 * 6 + 1  # the larger one, against
    worst = int(RANKINGS["signed"](attribution, latent, baseline).argmin())
    assert worst == 5 * 6 + 1


def test_masks_are_the_same_under_jit_and_vmap(normal):
    scores, valid = normal(4, 10, 6), jnp.ones((4, 10), bool)
    mapped = jax.jit(jax.vmap(lambda s, v: keep_mask(s, v, 0.2)))(scores, valid)
    for one, score in zip(mapped, scores, strict=True):
        np.testing.assert_array_equal(one, keep_mask(score, valid[0], 0.2))
