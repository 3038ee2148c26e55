"""Mixtures: as loud as the clip over the clip's own samples, the same every time, and of another speaker and label."""

import pathlib

import numpy as np
import pytest

from audex_jax.core.errors import AudexError
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import Plan, evaluate, summarise
from audex_jax.evaluation.mixtures import KINDS, mix, music, write_mixtures

RATE = 1000
FILES = [LabelledClip(pathlib.Path(f"{i}.wav"), ("down", "left", "up")[i % 3], f"s{i % 2}", "test") for i in range(6)]


@pytest.fixture
def clips(rng):
    return [0.01 * (i + 1) * rng.normal(size=300 + 100 * i).astype(np.float32) for i in range(6)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_is_as_loud_as_the_clip(clips, kind):
    made = mix(clips, FILES, kind, RATE)
    for clip, sound in zip(clips, made, strict=True):
        assert len(sound) == len(clip)
        added = sound - clip
        assert np.sqrt(np.mean(added**2)) == pytest.approx(np.sqrt(np.mean(clip**2)), rel=1e-3)
    again, other = mix(clips, FILES, kind, RATE), mix(clips, FILES, kind, RATE, seed=1)
    assert all(map(np.array_equal, made, again))
    assert not all(map(np.array_equal, made, other))
    silent = [np.zeros(50, np.float32), *clips[1:]]
    assert not mix(silent, FILES, kind, RATE)[0].any()


def test_speech_is_of_another_label_and_speaker(clips):
    flat = [np.full(100, 2.0**i, np.float32) * (-1.0) ** np.arange(100) for i in range(6)]
    flat = [np.where(np.arange(100) < 10 * (i + 1), sound, 0) for i, sound in enumerate(flat)]  # told by their length
    for seed in range(10):
        for i, sound in enumerate(mix(flat, FILES, "speech", RATE, seed)):
            other = np.flatnonzero(sound - flat[i])[-1] // 10
            assert FILES[other].label != FILES[i].label
            assert FILES[other].speaker != FILES[i].speaker
    alone = [LabelledClip(f.path, f.label, "s0", f.split) for f in FILES]
    with pytest.raises(AudexError, match="another speaker"):
        mix(clips, alone, "speech", RATE)
    with pytest.raises(AudexError, match="choose from noise, music, speech"):
        mix(clips, FILES, "rain", RATE)


def test_music_is_harmonic():
    sound = music(16000, 16000, np.random.default_rng(0))
    power = np.sort(np.abs(np.fft.rfft(sound)) ** 2)[::-1]
    assert power[: len(power) // 50].sum() > 0.8 * power.sum()  # of white noise: about a tenth


def test_mixtures_go_into_an_evaluation(mdct_explainer, clips, tmp_path):
    files = write_mixtures(tmp_path, clips, FILES, "noise", RATE)
    assert [(f.label, f.speaker) for f in files] == [(f.label, f.speaker) for f in FILES]
    record = summarise(evaluate(mdct_explainer, files[:2], Plan(("weighted",), ("zero",), (0.2,), 1, steps=2)))
    assert record["clips"] == 2
    assert {"AI", "AD", "AG", "FF", "Fid-In"} <= set(record["metrics"][0])
    assert {"SPS", "COMP"} <= set(record["attribution"][0])
