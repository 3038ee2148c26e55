"""The compiled step and the explainer around it, with random weights.

What depends on the codec is tested on the tiny EnCodec, all in one program, the rest on the faster MDCT.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax import bundles
from audex_jax.codecs.encodec.config import TINY
from audex_jax.core.errors import AudexError, AudioError, ModelError
from audex_jax.core.settings import Settings
from audex_jax.explain.control import ABSENT
from audex_jax.explain.explainer import GAP_TOLERANCE, Explainer
from audex_jax.explain.model import encode_and_classify, filler_latent, in_blocks
from audex_jax.io.audio import read_audio, write_audio

LABELS = ("down", "left", "up")
SETTINGS = Settings(steps=8, chunk=4, ranking="weighted")
OPTIMIZED = Settings(steps=8, chunk=4, mask_steps=2)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=n).astype(np.float32) * 0.1 for n in (1000, 777, 430)]


@pytest.fixture(scope="module")
def explanations(tiny_explainer, clips):
    return tiny_explainer.explain_clips(clips, None, SETTINGS)


@pytest.fixture(scope="module")
def plain(mdct_explainer, clips):
    return mdct_explainer.explain_clips(clips, None, SETTINGS)


@pytest.fixture(scope="module")
def exact(mdct_explainer, clips):
    return mdct_explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, steps=512))


def test_every_array_has_the_clips_own_length(explanations, clips):
    for e, clip in zip(explanations, clips, strict=True):
        frames = -(-len(clip) // TINY.hop)
        assert e.attribution.shape == e.mask.shape == (frames, TINY.dim)
        assert e.audio.shape == e.residual.shape == e.reconstruction.shape == clip.shape
        assert e.mask.sum() == round(0.2 * frames * TINY.dim)  # noise: every frame sounds
        assert sum(e.probabilities.values()) == pytest.approx(1)
        assert next(iter(e.probabilities)) == e.prediction == e.target


@pytest.fixture(scope="module")
def optimized(mdct_explainer, clips):
    return mdct_explainer.explain_clips(clips, None, OPTIMIZED)


def test_a_batch_equals_its_clips_one_by_one(mdct_explainer, clips, optimized):
    for e, clip in zip(optimized, clips, strict=True):
        one = mdct_explainer.explain_clips([clip], None, OPTIMIZED)[0]
        np.testing.assert_allclose(one.attribution, e.attribution, atol=2e-6)
        assert (one.mask != e.mask).mean() <= 0.01  # sums of another order; scores are near ties
        np.testing.assert_allclose(one.audio, e.audio, atol=4e-5)  # a step of 16 bits
        assert (one.target, one.latent_sufficient, one.sufficient) == (e.target, e.latent_sufficient, e.sufficient)


@pytest.mark.parametrize("louder", [1, 30, 3000])
def test_the_judgement_is_that_of_the_file_that_is_handed_out(tiny_explainer, louder, tmp_path, rng):
    """Whatever the level of the recording, one in units of 16 bits too: no file holds more than full scale."""
    loud = [louder * rng.normal(size=n).astype(np.float32) * 0.1 for n in range(430, 1000, 34)]  # 17 clips
    for e, clip in zip(tiny_explainer.explain_clips(loud, None, SETTINGS), loud, strict=True):
        assert e.gain * np.abs(clip).max() < 1
        assert max(np.abs(sound).max() for sound in (e.audio, e.residual, e.reconstruction)) < 1
        assert ("softer" in " ".join(e.verdict.reasons)) == (e.gain < 0.99)
        for sound, probability in ((e.audio, e.explanation_probability), (e.residual, e.residual_probability)):
            write_audio(tmp_path / "sound.wav", sound, e.sample_rate)
            np.testing.assert_array_equal(read_audio(tmp_path / "sound.wav", e.sample_rate), sound)
            logits = jax.jit(encode_and_classify)(tiny_explainer.model, *tiny_explainer.pad([sound])).logits[0]
            assert float(jax.nn.softmax(logits)[LABELS.index(e.target)]) == pytest.approx(probability, abs=1e-4)
        assert e.sufficient == (next(iter(e.explanation_probabilities)) == e.prediction)


def test_what_a_broken_model_makes_is_refused(mdct_explainer, clips):
    """One line, no explanation with NaN in it; the record of a job says it of each clip."""
    classifier = nnx.clone(mdct_explainer.model.classifier)
    classifier.project_out = jax.tree.map(lambda a: a * np.float32(np.nan), classifier.project_out)
    broken = Explainer(mdct_explainer.model._replace(classifier=classifier), LABELS, 1.0)
    with pytest.raises(ModelError, match=r"not finite \(logits"):
        broken.explain_clips(clips, None, SETTINGS)


def test_arrays_that_are_no_floats_are_divided_by_their_range_or_refused(mdct_explainer, clips, plain):
    whole = [np.rint(clip * 2**15).astype(np.int16) for clip in clips]
    for e, f in zip(plain, mdct_explainer.explain_clips(whole, None, SETTINGS), strict=True):
        assert f.probabilities == pytest.approx(e.probabilities, abs=1e-3)
    with pytest.raises(AudioError, match="samples of type complex"):
        mdct_explainer.explain(clips[0] + 0j)
    with pytest.raises(AudioError, match=r"reach .* times full scale"):
        mdct_explainer.explain(clips[0] * 1e20)


def test_an_attack_raises_the_probability_of_any_label_and_is_called_one(mdct_explainer, clips):
    """Whatever the label, and on weights drawn at random: which is why it explains nothing."""
    attack = dataclasses.replace(OPTIMIZED, ranking="adversarial-mask")
    for target in LABELS:
        plain, found = (mdct_explainer.explain_clips(clips, target, s) for s in (SETTINGS, attack))
        for e, r in zip(plain, found, strict=True):
            assert r.explanation_probability > e.explanation_probability
            assert r.verdict.kind == "attack"


def test_a_control_asks_the_same_method_for_a_label_that_is_not_there(mdct_explainer, clips):
    sharp = jax.tree.map(lambda a: 30 * a, mdct_explainer.model.classifier.project_out)
    classifier = nnx.clone(mdct_explainer.model.classifier)
    classifier.project_out = sharp
    explainer = Explainer(mdct_explainer.model._replace(classifier=classifier), LABELS, 1.0)
    for e, clip in zip(explainer.explain_clips(clips, None, SETTINGS, control=True), clips, strict=True):
        absent = [label for label, p in e.probabilities.items() if p < ABSENT]
        assert e.control_target == (absent[0] if absent else None)
        if absent:
            other = explainer.explain_clips([clip], absent[0], SETTINGS)[0]
            assert other.control_target is None
            assert e.control_probability == pytest.approx(other.explanation_probability, abs=1e-4)
            assert e.control_heard == (next(iter(other.explanation_probabilities)) == absent[0])
    assert absent


def test_silence_around_a_sound_is_not_counted(mdct_explainer, clips):
    sound = np.zeros(1000, np.float32)
    sound[400:600] = clips[0][:200]
    e = mdct_explainer.explain_clips([sound], None, dataclasses.replace(SETTINGS, keep=0.5))[0]
    frames = np.flatnonzero(e.mask.any(1)) / e.frame_rate
    assert 0.3 < frames.min() < frames.max() < 0.7
    assert e.mask.sum() == pytest.approx(0.5 * e.mask.shape[1] * (0.2 * e.frame_rate + 5), rel=0.15)


def test_resynthesis_at_another_share_is_explaining_with_it(mdct_explainer, clips, optimized):
    less = mdct_explainer.resynthesize(0.05, clips, optimized)
    others = mdct_explainer.explain_clips(clips, None, dataclasses.replace(OPTIMIZED, keep=0.05))
    for e, wanted, original in zip(less, others, optimized, strict=True):
        assert e.settings == wanted.settings
        assert e.attribution is original.attribution
        assert e.score is original.score
        np.testing.assert_array_equal(e.mask, wanted.mask)
        np.testing.assert_allclose(e.audio, wanted.audio, atol=4e-5)  # a step of 16 bits
        np.testing.assert_allclose(e.residual, wanted.residual, atol=4e-5)  # a step of 16 bits
        assert e.explanation_probability == pytest.approx(wanted.explanation_probability, abs=1e-4)
        assert (e.sufficient, e.necessary) == (wanted.sufficient, wanted.necessary)
    with pytest.raises(ValueError, match="keep is 2"):
        mdct_explainer.resynthesize(2, clips, optimized)
    with pytest.raises(ValueError, match="3 clips, but 1 explanations"):
        mdct_explainer.resynthesize(0.1, clips, optimized[:1])
    assert mdct_explainer.explain_clips([]) == mdct_explainer.resynthesize(0.1, [], []) == []


def test_another_target_is_explained_when_asked_for(tiny_explainer, clips):
    by_label = {t: tiny_explainer.explain_clips(clips, t, SETTINGS)[0] for t in LABELS}
    for label, e in by_label.items():
        assert e.target == label
        assert e.target_probability == pytest.approx(e.probabilities[label])
    assert np.abs(by_label["up"].attribution - by_label["down"].attribution).max() > 1e-4


def test_attributions_add_up_as_points_grow(plain, exact):
    for e, f in zip(plain, exact, strict=True):
        assert f.completeness_gap < e.completeness_gap
        assert f.completeness_gap < 0.01


def test_automatic_steps_take_as_many_as_the_ranking_needs(mdct_explainer, clips, exact):
    found = mdct_explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, steps="auto"))
    for e, f in zip(exact, found, strict=True):
        assert f.converged
        assert (e.mask & f.mask).sum() >= 0.95 * e.mask.sum()  # the wish, 0.99, is for the attribution


def test_gradients_in_bfloat16_rank_almost_the_same_and_are_judged_in_float32(mdct_explainer, clips, plain):
    rounded = mdct_explainer.explain_clips(clips, None, dataclasses.replace(SETTINGS, precision="bfloat16"))
    for e, r in zip(plain, rounded, strict=True):
        assert r.probabilities == e.probabilities
        assert 0 < np.abs(r.attribution - e.attribution).max() < 0.1 * np.abs(e.attribution).max()
        assert (e.mask & r.mask).sum() >= 0.9 * e.mask.sum()


def test_an_attribution_that_does_not_add_up_is_reported(mdct_explainer, clips):
    e = mdct_explainer.explain_clips(clips[:1], None, Settings(steps=1, rule="riemann-left", ranking="weighted"))[0]
    assert e.completeness_gap > GAP_TOLERANCE
    assert not e.converged
    assert f"{e.completeness_gap:.1%}" in e.convergence
    assert "Do not trust single elements." in e.verdict.reasons[0]


def test_everything_kept_is_the_reconstruction_of_a_codec_that_looks_ahead(tiny_explainer, codec_of, clips):
    codec = codec_of(dataclasses.replace(TINY, causal=False))
    centred = Explainer(tiny_explainer.model._replace(codec=codec), LABELS, 1.0)
    for e in centred.explain_clips(clips, None, dataclasses.replace(SETTINGS, keep=1.0)):
        np.testing.assert_allclose(e.audio, e.reconstruction, atol=1e-6)


def test_a_quieter_clip_is_explained_the_same_and_silence_is_called_silence(tiny_explainer, clips, explanations):
    for e in tiny_explainer.explain_clips([0 * clip for clip in clips], None, SETTINGS):
        assert e.silent
        assert np.isfinite(e.attribution).all()
        assert np.abs(e.audio).max() < 1e-3
    quieter = tiny_explainer.explain_clips([0.1 * clip for clip in clips], None, SETTINGS)
    for e, q in zip(explanations, quieter, strict=True):
        np.testing.assert_allclose(q.attribution, e.attribution, atol=1e-4)
        np.testing.assert_allclose(q.audio, 0.1 * e.audio, atol=1e-4)


def test_fillers_are_what_they_are_called(mdct_explainer):
    weights = mdct_explainer.model
    assert not filler_latent(weights, 9, Settings(filler="zero")).any()
    np.testing.assert_allclose(filler_latent(weights, 9, Settings(filler="mean")), 0.1, rtol=1e-6)
    draw = jax.jit(filler_latent, static_argnums=(1, 2))
    noise = [draw(weights, 9, Settings(filler="noise", seed=s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(noise[0], noise[1])
    assert np.abs(noise[0] - noise[2]).max() > 1e-3


@pytest.mark.parametrize(
    ("clip", "setting", "says"),
    [
        (np.zeros(0), {}, "0 samples"),
        (np.zeros(1001), {}, "1001 samples; this explainer takes 1 to 1000"),
        (np.zeros((10, 3)), {}, r"shape \(10, 3\)"),
        (np.full(10, np.nan), {}, "not finite"),
        (np.ones(10), {"keep": 1.5}, "keep is 1.5"),
        (np.ones(10), {"ranking": "best"}, "no ranking 'best'; choose one of absolute"),
        (np.ones(10), {"method": "guess"}, "no attribution method 'guess'; choose one of deeplift"),
        (np.ones(10), {"filler": "pink"}, "no filler 'pink'"),
        (np.ones(10), {"steps": 0}, "steps is 0"),
        (np.ones(10), {"target": "sideways"}, "no label 'sideways'; it knows down, left, up"),
    ],
)
def test_bad_clips_and_settings_are_refused_in_words(mdct_explainer, clip, setting, says):
    with pytest.raises(ValueError, match=says):
        mdct_explainer.explain(clip, **setting)


def test_a_setting_that_does_not_exist_names_the_one_that_is_meant(mdct_explainer, clips):
    with pytest.raises(AudexError, match=r"no setting 'mask_step'; did you mean 'mask_steps'\?"):
        mdct_explainer.explain(clips[0], mask_step=2)
    with pytest.raises(AudexError, match="no setting 'zzz'; settings are keep, method"):
        mdct_explainer.explain(clips[0], zzz=2)


def test_a_path_is_read_as_the_recording_that_it_names(mdct_explainer, tmp_path, monkeypatch):
    write_audio(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 300), 1000)
    given = []
    monkeypatch.setattr(mdct_explainer, "explain_clips", lambda clips, *_, **__: given.append(clips) or [None])
    mdct_explainer.explain(tmp_path / "a.wav")
    mdct_explainer.explain(str(tmp_path / "a.wav"))
    for (clip,) in given:
        np.testing.assert_allclose(clip, np.linspace(-0.5, 0.5, 300), atol=1e-4)
    with pytest.raises(AudioError, match=r"nothing\.wav"):
        mdct_explainer.explain("nothing.wav")


def test_segments_cover_the_recording(mdct_explainer):
    audio = np.arange(2500, dtype=np.float32)
    pieces = mdct_explainer.segments(audio)
    assert [len(p) for p in pieces] == [1000, 1000, 500]
    np.testing.assert_array_equal(np.concatenate(pieces), audio)
    assert [len(p) for p in mdct_explainer.segments(audio[:2050])] == [1000, 1000]


def test_a_bundle_gives_the_same_explainer_back(tiny_explainer, clips, explanations, tmp_path):
    bundles.save_explainer(tmp_path / "b", tiny_explainer, {"made_by": "test"})
    loaded = bundles.load_explainer(tmp_path / "b")
    assert (loaded.labels, loaded.clip_seconds) == (LABELS, 1.0)
    assert bundles.digest(loaded) == bundles.digest(tiny_explainer)
    again = loaded.explain_clips(clips, None, SETTINGS)
    for e, a in zip(explanations, again, strict=True):
        np.testing.assert_array_equal(a.attribution, e.attribution)
        np.testing.assert_array_equal(a.audio, e.audio)


def test_what_is_no_explainer_is_named(tiny_explainer, tmp_path):
    bundles.save_codec(tmp_path / "c", tiny_explainer.model.codec, {})
    for place, says in ((tmp_path / "c", "train a classifier on it"), ("nowhere", "nowhere: not a bundle")):
        with pytest.raises(bundles.BundleError, match=says):
            bundles.load_explainer(place)


@pytest.mark.parametrize("count", [1, 6, 7])
def test_in_blocks_each_row_is_what_it_is_at_once_and_memory_stays(count, normal):
    kernel = normal(30, 3000)

    def wide(x, length):
        return {"sum": jnp.sin(x @ kernel).sum(1) / length}

    rows, lengths = normal(count, 30), jnp.arange(1.0, 1 + count)
    expected = wide(rows, lengths)["sum"]
    np.testing.assert_allclose(in_blocks(wide, rows, lengths, size=2)["sum"], expected, rtol=1e-4, atol=1e-4)

    def temporaries(size: int) -> int:
        program = jax.jit(lambda *given: in_blocks(wide, *given, size=size)).lower(normal(64, 30), jnp.ones(64))
        return program.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(8) < temporaries(64) / 4
