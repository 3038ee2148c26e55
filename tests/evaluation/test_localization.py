"""Localization: words lie where they are said to lie, and what finds them, or not, is scored as it should be."""

import pathlib

import numpy as np
import pytest

from audex_jax.core.settings import Settings
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import events, localization, words

FILES = [LabelledClip(pathlib.Path(f"{i}.wav"), ("down", "left", "up")[i % 3], None, "test") for i in range(6)]
LABELS = ("down", "left", "up")


@pytest.fixture
def clips(rng):
    return [np.pad(rng.normal(size=300), (100 * (i % 3), 400)).astype(np.float32) for i in range(6)]


@pytest.mark.parametrize("kind", words.KINDS)
def test_words_lie_where_they_are_said_to_lie(clips, kind):
    made = words.place_words(clips, FILES, ("down", "left", "up"), 1000, kind)
    assert made.audio.shape == (6, 1000)
    assert made.target.tolist() == [0, 1, 2, 0, 1, 2]
    assert ((made.against >= 0) & (made.against != made.target)).all() == (kind == "two words")
    for i, audio in enumerate(made.audio):
        assert made.start[i] // 500 == (made.stop[i] - 1) // 500 == i % 2
        loud = np.abs(audio) > 0.02
        inside = np.zeros(1000, bool)
        inside[made.start[i] : made.stop[i]] = True
        assert loud[inside].mean() > 0.5
        other_half = loud[500:] if i % 2 == 0 else loud[:500]
        assert (other_half.mean() > 0.3) == (kind == "two words")
        assert np.square(made.word[i][inside]).sum() == pytest.approx(np.square(made.word[i]).sum())
        noise = (audio - made.word[i])[inside]
        assert (np.abs(noise).max() < 1e-6) == (kind == "silence")


def test_the_loudest_stretch_is_found():
    clip = np.zeros(1000, np.float32)
    clip[600:700] = 1.0
    word = words.loudest(clip, 200)
    assert (word > 0.5).sum() >= 90
    assert np.sqrt(np.mean(word**2)) == pytest.approx(1, rel=1e-4)


def test_the_auc_of_frames():
    inside, counted = np.array([True, True, False, False]), np.ones(4, bool)
    assert localization.auc(np.array([4.0, 3.0, 2.0, 1.0]), inside, counted) == 1
    assert localization.auc(np.zeros(4), inside, counted) == 0.5
    assert np.isnan(localization.auc(np.zeros(4), inside, ~inside))


def test_the_batch_changes_nothing(tiny_explainer, clips):
    made = words.place_words(clips, FILES, tiny_explainer.labels, 1000, "noise")
    settings = Settings(method="expected-gradients", steps=12)
    one, hits = localization.localization_auc(tiny_explainer, made, settings=settings, batch=1)
    other, again = localization.localization_auc(tiny_explainer, made, settings=settings, batch=4)
    np.testing.assert_allclose(one, other, atol=0.02)  # rounding may swap two frames
    np.testing.assert_array_equal(hits, again)


def test_events_lie_apart_at_known_times(clips):
    made = events.place_events(clips, FILES, LABELS, 1000)
    assert made.audio.shape == (6, 4000)
    assert made.target.tolist() == [0, 1, 2, 0, 1, 2]
    for i, audio in enumerate(made.audio):
        order = np.argsort(made.start[i])
        assert (made.start[i][order][1:] >= made.stop[i][order][:-1]).all()
        inside = np.zeros(4000, bool)
        for start, stop in zip(made.start[i], made.stop[i], strict=True):
            inside[start:stop] = True
            assert np.sqrt(np.mean(audio[start:stop] ** 2)) == pytest.approx(0.1, rel=0.1)
        assert np.abs(audio[~inside]).max() < 0.02  # noise at -30 dB
        assert not made.word[i][: made.start[i, 0]].any()
    assert len({tuple(np.argsort(start)) for start in made.start}) > 1  # the word in question is not always the first


def test_what_knows_the_word_finds_it_and_loudness_finds_any(mdct_explainer, clips, monkeypatch):
    made = events.place_events(clips, FILES, LABELS, 1000)
    hop = mdct_explainer.model.codec.hop

    def energy_of(sounds):
        cuts = np.pad(sounds.reshape(-1, 1000), ((0, 0), (0, -1000 % hop)))
        rows = iter(np.square(cuts).reshape(len(cuts), -1, hop).sum(2))

        def evidence(model, audio, target, against, settings):
            return target, np.stack([next(rows) for _ in audio])

        return evidence

    for sounds, alone, among_words in ((made.word, 0.95, 0.95), (made.audio, 0.8, None)):
        monkeypatch.setattr(events, "evidence", energy_of(sounds))
        found = np.nanmean(events.event_auc(mdct_explainer, made, batch=4), 1)
        assert found[0] > alone
        assert found[1] > among_words if among_words else 0.25 < found[1] < 0.75


@pytest.mark.slow
def test_the_batch_of_cuts_changes_nothing(mdct_explainer, clips):
    made = events.place_events(clips[:3], FILES[:3], LABELS, 1000)
    settings = Settings(method="gradient-x-input")
    one, other = (events.event_auc(mdct_explainer, made, settings=settings, batch=b) for b in (5, 12))
    np.testing.assert_allclose(one, other, atol=0.02)
    shuffled = events.event_auc(mdct_explainer, made, settings=settings, shuffled=0)
    assert not np.allclose(one, shuffled)
