"""Masks are pure functions of (attribution, share); nothing that was cut in one place shows in another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.core.registry import RANKINGS
from audex_jax.core.settings import Settings
from audex_jax.masking.edit import edit
from audex_jax.masking.rank import NEVER, Context, element_ranks, keep_mask, top_share

PLAIN = sorted(set(RANKINGS.names()) - {"matched-mask", "adversarial-mask", "amortised"})


def score(name, attribution, latent, filler):
    """Score by a ranking, of a model that says nothing."""
    own = jnp.ones(len(latent), bool)

    def nothing(latents):
        return jnp.zeros((2, len(latents)))

    def units():
        return jnp.broadcast_to(jnp.arange(len(latent))[:, None], latent.shape), len(latent)

    def resound(latents, moved):
        return latents, jnp.zeros(len(latents))

    def amortised():
        return jnp.abs(latent), jnp.ones(())

    context = Context(own, own, nothing, resound, None, amortised, units, 50.0, jax.random.key(0), Settings())
    return RANKINGS[name](attribution, latent, filler, context)


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


def test_elements_that_are_never_kept_make_the_share_smaller():
    mask = keep_mask(jnp.array([[3.0, NEVER], [NEVER, NEVER]]), jnp.ones(2, bool), 0.75)
    assert mask.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("share", [0.0, 0.013, 0.3, 0.5, 0.87, 1.0])
def test_counting_from_a_score_upwards_finds_what_a_sort_finds(rng, share, kind):
    score = np.round(rng.normal(size=(5, 9, 40)), 1)
    score[0, :3], score[1, 4], score[2] = np.inf, -np.inf, 1.5
    score[3, ::2], score[3, 1::2], score[4] = -0.0, 0.0, 1e-30 * rng.normal(size=(9, 40))
    counted = rng.random((5, 9)) < 0.8
    for some, own in zip(jnp.asarray(score, kind), jnp.asarray(counted), strict=True):
        expected = top_share(element_ranks(some, own), own, share) & (some > NEVER)
        np.testing.assert_array_equal(keep_mask(some, own, share), expected)


def test_ties_go_to_the_first_element():
    mask = keep_mask(jnp.zeros((2, 3)), jnp.ones(2, bool), 0.5)
    assert mask.tolist() == [[True, True, True], [False, False, False]]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_kept_and_residual_are_complements_and_padding_stays(normal, share):
    latent, score, filler, valid = normal(10, 6), normal(10, 6), normal(10, 6), jnp.arange(10) < 8
    mask, kept, residual = edit(latent, score, valid, valid, share, filler)
    assert mask[:8].sum() == round(48 * share)
    np.testing.assert_array_equal(jnp.where(mask, kept, residual), latent)
    np.testing.assert_array_equal(jnp.where(mask, residual, kept)[:8], filler[:8])
    for edited in (kept, residual):
        np.testing.assert_array_equal(edited[8:], latent[8:])


def test_frames_that_do_not_sound_are_never_kept_and_stay_in_the_residual(normal):
    latent, score, filler, own = normal(10, 6), normal(10, 6), normal(10, 6), jnp.ones(10, bool)
    mask, kept, residual = edit(latent, score, own, jnp.arange(10) < 4, 1.0, filler)
    assert mask.sum(1).tolist() == [6] * 4 + [0] * 6
    np.testing.assert_array_equal(kept[4:], filler[4:])
    np.testing.assert_array_equal(residual[4:], latent[4:])


def test_rankings_put_planted_evidence_first(normal):
    latent, baseline = jnp.ones((10, 6)), jnp.zeros((10, 6))
    attribution = (0.01 * normal(10, 6)).at[4, 2].set(5.0).at[5, 1].set(-6.0)
    best = {name: int(score(name, attribution, latent, baseline).argmax()) for name in PLAIN}
    assert best["signed"] == 4 * 6 + 2  # evidence for
    assert best["absolute"] == best["weighted"] == 5 * 6 + 1  # the larger one, against
    worst = int(score("signed", attribution, latent, baseline).argmin())
    assert worst == 5 * 6 + 1


def test_positive_keeps_evidence_for_then_the_loud_neutral_and_last_the_evidence_against():
    attribution = jnp.array([[4.0, -5.0, 0.01], [-0.02, 3.0, -6.0]])
    latent = jnp.array([[1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    ranks = element_ranks(score("positive", attribution, latent, jnp.zeros((2, 3))), jnp.ones(2, bool))
    assert ranks.tolist() == [[0, 4, 3], [2, 1, 5]]


def test_frames_are_kept_whole_and_mixed_lies_between():
    attribution = jnp.array([[1.0, 1.0], [3.0, 0.0], [0.0, 1.5]])
    latent, baseline = jnp.ones((3, 2)), jnp.zeros((3, 2))
    mask = keep_mask(score("frames", attribution, latent, baseline), jnp.ones(3, bool), 2 / 3)
    assert mask.tolist() == [[True, True], [True, True], [False, False]]
    assert score("mixed", attribution, latent, baseline).tolist() == [[2.0, 2.0], [9.0, 0.0], [0.0, 2.25]]


@pytest.mark.parametrize("name", RANKINGS.names())
def test_every_ranking_is_defined_where_nothing_speaks(name):
    assert jnp.isfinite(score(name, jnp.zeros((3, 2)), jnp.ones((3, 2)), jnp.ones((3, 2)))).all()
