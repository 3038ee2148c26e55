"""The compiled step and the explainer around it, on a tiny codec and classifier with random weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax import bundles
from audex_jax.codecs.encodec.config import TINY
from audex_jax.explain.explainer import Explainer, load_explainer, save_explainer
from audex_jax.explain.step import Settings, explain_step, filler_latent, latent_of

LABELS = ("down", "left", "up")
SETTINGS = Settings(steps=8, chunk=4, ranking="weighted")
REFINED = Settings(steps=8, chunk=4, refinement=2)


@pytest.fixture(scope="module")
def explainer(tiny_explainer) -> Explainer:
    return tiny_explainer


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=n).astype(np.float32) * 0.1 for n in (1000, 777, 430)]


@pytest.fixture(scope="module")
def explanations(explainer, clips):
    return explainer.explain_clips(clips, None, SETTINGS)


def test_every_array_has_the_clips_own_length(explanations, clips):
    for e, clip in zip(explanations, clips, strict=True):
        frames = -(-len(clip) // TINY.hop)
        assert e.attribution.shape == e.mask.shape == (frames, TINY.dim)
        assert e.audio.shape == e.residual.shape == e.reconstruction.shape == clip.shape
        assert e.mask.sum() == round(0.2 * frames * TINY.dim)
        assert sum(e.probabilities.values()) == pytest.approx(1)
        assert next(iter(e.probabilities)) == e.predicted == e.label


@pytest.fixture(scope="module")
def refined(explainer, clips):
    return explainer.explain_clips(clips, None, REFINED)


def test_a_batch_equals_its_clips_one_by_one(explainer, clips, refined):
    for e, clip in zip(refined, clips, strict=True):
        one = explainer.explain_clips([clip], None, REFINED)[0]
        np.testing.assert_allclose(one.attribution, e.attribution, atol=2e-6)
        assert (one.mask != e.mask).mean() <= 0.01  # sums of another order; scores are near ties
        np.testing.assert_allclose(one.audio, e.audio, atol=2e-5)
        assert (one.label, one.latent_sufficient, one.sufficient) == (e.label, e.latent_sufficient, e.sufficient)


def test_the_judgement_is_that_of_the_audio_that_is_handed_out(explainer, clips, explanations):
    for e in explanations:
        audio, lengths = explainer.pad([e.audio])
        latent = latent_of(explainer.model.codec, jnp.asarray(audio), lengths, None)
        valid = jnp.arange(latent.shape[1]) < -(-lengths[0] // TINY.hop)
        logits = explainer.model.classifier(latent[0], valid)
        assert (LABELS[int(logits.argmax())] == e.predicted) == e.sufficient
        index = LABELS.index(e.label)
        assert float(jax.nn.softmax(logits)[index]) == pytest.approx(e.explanation_probability, abs=1e-4)


def test_refinement_lets_the_explanation_say_more_and_the_rest_less(explanations, refined):
    for e, r in zip(explanations, refined, strict=True):
        np.testing.assert_array_equal(r.attribution, e.attribution)
        assert r.explanation_probability > e.explanation_probability


def test_listening_at_another_share_is_explaining_with_it(explainer, clips, refined):
    less = explainer.listen_at(0.05, clips, refined)
    others = explainer.explain_clips(clips, None, dataclasses.replace(REFINED, keep=0.05))
    for e, wanted, original in zip(less, others, refined, strict=True):
        assert e.settings == wanted.settings
        assert e.attribution is original.attribution
        assert e.score is original.score
        np.testing.assert_array_equal(e.mask, wanted.mask)
        np.testing.assert_allclose(e.audio, wanted.audio, atol=2e-5)
        np.testing.assert_allclose(e.residual, wanted.residual, atol=2e-5)
        assert e.explanation_probability == pytest.approx(wanted.explanation_probability, abs=1e-4)
        assert (e.sufficient, e.necessary) == (wanted.sufficient, wanted.necessary)
    with pytest.raises(ValueError, match="keep is 2"):
        explainer.listen_at(2, clips, refined)
    with pytest.raises(ValueError, match="3 clips, but 1 explanations"):
        explainer.listen_at(0.1, clips, refined[:1])


def test_another_target_is_explained_when_asked_for(explainer, clips):
    by_label = {t: explainer.explain_clips(clips, t, SETTINGS)[0] for t in LABELS}
    for label, e in by_label.items():
        assert e.label == label
        assert e.probability == pytest.approx(e.probabilities[label])
    assert np.abs(by_label["up"].attribution - by_label["down"].attribution).max() > 1e-4


def test_attributions_add_up_as_points_grow(explainer, clips, explanations):
    finer = explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, steps=128))
    for e, f in zip(explanations, finer, strict=True):
        assert f.completeness_gap < e.completeness_gap
        assert f.completeness_gap < 0.01


def test_automatic_steps_take_as_many_as_the_ranking_needs(explainer, clips):
    exact, found = (explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, steps=n)) for n in (512, "auto"))
    for e, f in zip(exact, found, strict=True):
        assert f.verdict.reliable
        assert (e.mask & f.mask).sum() >= 0.95 * e.mask.sum()  # the wish, 0.99, is for the attribution


def test_gradients_in_bfloat16_rank_almost_the_same_and_are_judged_in_float32(explainer, clips, explanations):
    rounded = explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, precision="bfloat16"))
    for e, r in zip(explanations, rounded, strict=True):
        assert r.probabilities == e.probabilities
        assert 0 < np.abs(r.attribution - e.attribution).max() < 0.1 * np.abs(e.attribution).max()
        assert (e.mask & r.mask).sum() >= 0.9 * e.mask.sum()


def test_the_verdict_names_the_gap(explainer, clips):
    e = explainer.explain_clips(clips[:1], None, Settings(steps=1, rule="riemann-left", ranking="weighted"))[0]
    assert e.completeness_gap > 0.05
    assert e.gap_flagged
    assert not e.verdict.reliable
    assert f"{e.completeness_gap:.1%}" in e.verdict.message


def test_a_clip_at_another_level_is_explained_the_same(explainer, clips, explanations):
    quieter = explainer.explain_clips([0.1 * clip for clip in clips], None, SETTINGS)
    for e, q in zip(explanations, quieter, strict=True):
        np.testing.assert_allclose(q.attribution, e.attribution, atol=1e-4)
        np.testing.assert_allclose(q.audio, 0.1 * e.audio, atol=1e-4)


def test_fillers_are_what_they_are_called(explainer):
    weights = explainer.model
    assert not filler_latent(weights, 9, Settings(filler="zero")).any()
    np.testing.assert_allclose(filler_latent(weights, 9, Settings(filler="mean")), 0.1, rtol=1e-6)
    noise = [filler_latent(weights, 9, Settings(filler="noise", seed=s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert np.abs(noise[0] - noise[2]).max() > 1e-3


def test_quantised_latents_are_sums_of_codebook_entries(explainer, clips):
    audio, lengths = explainer.pad(clips[:1])
    codec = explainer.model.codec
    audio = jnp.asarray(audio)
    latent = latent_of(codec, audio, lengths, 0.4)  # one codebook
    entries = np.asarray(codec.quantizer.codebooks[...][0])
    nearest = np.abs(np.asarray(latent)[0][:, None] - entries).max(-1).min(-1)
    assert nearest.max() < 1e-6
    with pytest.raises(ValueError, match="it offers"):
        latent_of(codec, audio, lengths, 3.0)


def test_silence_is_called_silence(explainer):
    for e in explainer.explain_clips([np.zeros(n, np.float32) for n in (500, 777, 1000)], None, SETTINGS):
        assert e.silent
        assert np.isfinite(e.attribution).all()
        assert np.abs(e.audio).max() < 1e-3


@pytest.mark.parametrize(
    ("clip", "says"),
    [
        (np.zeros(0), "0 samples"),
        (np.zeros(1001), "1001 samples; this explainer takes 1 to 1000"),
        (np.zeros((10, 3)), r"shape \(10, 3\)"),
        (np.full(10, np.nan), "not finite"),
    ],
)
def test_bad_clips_are_refused_in_words(explainer, clip, says):
    with pytest.raises(ValueError, match=says):
        explainer.explain(clip)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"keep": 1.5}, "keep is 1.5"),
        ({"ranking": "best"}, "no ranking 'best'; choose one of signed"),
        ({"filler": "pink"}, "no filler 'pink'"),
        ({"steps": 0}, "steps is 0"),
        ({"target": "sideways"}, "no label 'sideways'; it knows down, left, up"),
    ],
)
def test_bad_settings_are_refused_in_words(explainer, clips, setting, says):
    with pytest.raises(ValueError, match=says):
        explainer.explain(clips[0], **setting)


def test_segments_cover_the_recording(explainer):
    audio = np.arange(2500, dtype=np.float32)
    pieces = explainer.segments(audio)
    assert [len(p) for p in pieces] == [1000, 1000, 500]
    np.testing.assert_array_equal(np.concatenate(pieces), audio)
    assert [len(p) for p in explainer.segments(audio[:2050])] == [1000, 1000]


def test_a_bundle_gives_the_same_explainer_back(explainer, clips, explanations, tmp_path):
    save_explainer(tmp_path / "b", explainer, {"made_by": "test"})
    loaded = load_explainer(tmp_path / "b")
    assert (loaded.labels, loaded.clip_seconds, loaded.bandwidth) == (LABELS, 1.0, None)
    again = loaded.explain_clips(clips, None, SETTINGS)
    for e, a in zip(explanations, again, strict=True):
        np.testing.assert_array_equal(a.attribution, e.attribution)
        np.testing.assert_array_equal(a.audio, e.audio)


def test_a_codec_bundle_is_no_explainer(explainer, tmp_path):
    bundles.save_codec(tmp_path / "c", explainer.model.codec, {})
    with pytest.raises(bundles.BundleError, match="train a classifier on it"):
        load_explainer(tmp_path / "c")


def test_a_missing_bundle_is_named():
    with pytest.raises(bundles.BundleError, match="nowhere: not a bundle"):
        load_explainer("nowhere")


def test_nothing_in_the_step_crosses_clips(explainer, clips):
    audio, lengths = explainer.pad(clips)
    compiled = explain_step.lower(explainer.model, audio, lengths, np.full(3, -1), SETTINGS, None).compile()
    text = compiled.as_text()
    for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
        assert collective not in text
