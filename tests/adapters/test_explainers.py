"""Classifiers of audio of one's own: a JAX function, the same on the host, and the same without its gradient."""

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.adapters.explainers import explain_model, for_waveform, from_function
from audex_jax.adapters.host import HostClassifier, check_function
from audex_jax.adapters.reading import Reading, reading_of
from audex_jax.batch.stream import explain_batches
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.explain.explainer import Explainer

LABELS = ("early", "late")
RATE = 1000
QUICK: dict = {"keep": 0.4, "steps": 4, "mask_steps": 2, "budget": 64}


def energies(params, audio, length):
    """Has the first or the second half of half a second more energy?"""
    energy = jnp.square(audio[:, 0])
    early = jnp.arange(len(audio)) < 250
    return params * jnp.stack([(energy * early).sum(), (energy * ~early).sum()])


def by_numpy(audio):
    return 5 * np.stack([np.square(audio[:, :250]).sum(1), np.square(audio[:, 250:]).sum(1)], 1)


def pull_back(audio, cotangent):
    return 10 * audio * np.where(np.arange(audio.shape[1]) < 250, cotangent[:, :1], cotangent[:, 1:])


def on_host(gradient: bool = True, function=by_numpy) -> Explainer:
    like = explainer()
    classifier = HostClassifier(
        function,
        pull_back if gradient else None,
        source=RATE,
        rate=RATE,
        reading=Reading(),
        labels=2,
        fingerprint="halves",
    )
    return Explainer(like.model._replace(classifier=classifier), LABELS, 0.5)


def explainer(**options) -> Explainer:
    how = {"params": jnp.float32(5), "sample_rate": RATE, "clip_seconds": 0.5}
    return for_waveform(energies, LABELS, **how | options)


@pytest.fixture
def clips(rng) -> list[np.ndarray]:
    """Noise with a loud stretch: early, late, and early in a short clip."""
    clips = [0.02 * rng.normal(size=n).astype(np.float32) for n in (500, 500, 400)]
    for clip, start in zip(clips, (100, 350, 120), strict=True):
        clip[start : start + 80] *= 30
    return clips


def test_a_jax_function_is_explained(clips):
    found = explainer().explain_clips(clips, settings=Settings(keep=0.4))
    assert [e.prediction for e in found] == ["early", "late", "early"]
    for e, clip, start in zip(found, clips, (5, 17, 6), strict=True):
        np.testing.assert_allclose(e.reconstruction, e.gain * clip, atol=1e-4)
        assert (e.sufficient, e.necessary, e.sound_alone) == (True, True, True)
        assert np.abs(e.attribution).sum(1)[start : start + 6].sum() > 0.9 * np.abs(e.attribution).sum()


@pytest.mark.slow
def test_on_the_host_attributions_are_the_same(clips):
    whole, cut = explainer().explain_clips(clips), on_host().explain_clips(clips)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(one.attribution, other.attribution, rtol=1e-4, atol=1e-5)
        assert (one.mask != other.mask).mean() < 0.01
        assert one.prediction_probability == pytest.approx(other.prediction_probability, abs=1e-5)


@pytest.mark.slow
def test_without_a_gradient_units_are_tried(clips):
    found = from_function(by_numpy, LABELS, RATE, clip_seconds=0.5)
    explained = found.explain_clips(clips[:2], settings=Settings(keep=0.4))
    assert {(e.settings.method, e.settings.ranking) for e in explained} == {("masked-regression", "evolved-mask")}
    assert [(e.sufficient, e.necessary) for e in explained] == [(True, True)] * 2
    for e, start in zip(explained, (5, 17), strict=True):
        assert np.abs(e.attribution).sum(1)[start : start + 5].sum() > 0.5 * np.abs(e.attribution).sum()
    with pytest.raises(AudexError, match="gives no gradient"):
        found.explain(clips[0], method="saliency")


def test_the_budget_bounds_the_calls(clips):
    own = on_host(gradient=False)
    own.explain(clips[0], control=False, budget=64)
    before = own.model.classifier.calls
    own.explain(clips[0], control=False, budget=64)
    assert 64 < own.model.classifier.calls - before < 64 + 64 + 24  # regression, evolution, sounds and ends


def test_another_sample_rate_is_resampled(clips):
    def slower(params, audio, length):
        return energies(params, jnp.repeat(audio, 2, 0), length)

    found = for_waveform(slower, LABELS, params=jnp.float32(5), sample_rate=500, codec="mdct:1000", clip_seconds=0.5)
    assert found.sample_rate == 1000
    assert [found.explain(clip, **QUICK).prediction for clip in clips[:2]] == ["early", "late"]


def test_the_short_way(clips):
    e = explain_model(energies, clips[1], LABELS, params=jnp.float32(5), sample_rate=RATE, settings=QUICK)
    assert (e.prediction, e.necessary, e.control_target) == ("late", True, "early")
    e = explain_model(by_numpy, clips[1], LABELS, sample_rate=RATE, gradient="none", settings=QUICK)
    assert e.settings.method == "masked-regression"


@pytest.mark.parametrize("explainer", [explainer, on_host])
def test_batches_take_them(explainer, clips):
    found = dict(explain_batches(explainer(), enumerate(clips), batch=1, ranking="weighted", steps=4))
    assert [found[n].prediction for n in range(3)] == ["early", "late", "early"]


def test_clips_of_one_length_come_without_padding(clips):
    lengths = []

    def told(audio):
        lengths.append(audio.shape[1])
        return by_numpy(audio)

    on_host(function=told).explain_clips([clips[2], clips[0]], None)
    assert {400, 410, 500} <= set(lengths) | {410}  # the clips, and the short one moved by half a frame
    assert max(lengths) == 500


def probabilities(raw):
    return np.exp(raw) / np.exp(raw).sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("output", "raw", "expected"),
    [
        ("logits", [1.0, 3.0], [1.0, 3.0]),
        ("probabilities", [0.25, 0.75], np.log([0.25, 0.75])),
        ("independent-logits", [1.0, 3.0], [3.0, 0.0]),
        ("independent-probabilities", [0.25, 0.75], [np.log(3), 0.0]),
        ("logits", [[1.0, 0.0], [3.0, 2.0], [9.0, 9.0], [9.0, 9.0]], [2.0, 1.0]),  # the clip ends after two frames
    ],
)
def test_outputs_are_read_as_logits(output, raw, expected):
    reading, labels = reading_of(("a", "b"), output, "b" if "independent" in output else None, None)
    np.testing.assert_allclose(reading(jnp.asarray(raw), 50, 100, 100), expected, rtol=1e-5)
    assert labels == (("b", "not b") if "independent" in output else ("a", "b"))


def test_a_time_range_of_outputs_by_frame():
    reading, _ = reading_of(("a", "b"), "logits", None, (0.5, 1.0))
    raw = jnp.arange(8.0).reshape(4, 2)
    np.testing.assert_allclose(reading(raw, 100, 100, 100), [5.0, 6.0])


def refused(function, gradient=None):
    own = HostClassifier(function, gradient, source=RATE, rate=RATE, reading=Reading(), labels=2, fingerprint="refused")
    check_function(own)


class Counter:
    """Adds up how often it was called."""

    def __init__(self):
        self.calls = 0

    def __call__(self, audio):
        self.calls += 1
        return by_numpy(audio) + self.calls


def broken(audio):
    raise ValueError("no such\nlayer")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda audio: by_numpy(audio) * np.nan, "not finite"),
        (lambda audio: by_numpy(audio)[:, :1], "gives 1 numbers for a clip, but there are 2 labels"),
        (lambda audio: by_numpy(audio)[0], "row"),
        (lambda audio: by_numpy(audio)[:, None, None], "has to be .labels. or .frames, labels."),
        (broken, "raised ValueError: no such layer$"),
        (Counter(), "does not answer alike when it is asked a second time"),
        (lambda audio: by_numpy(audio) + np.arange(len(audio))[:, None], "in another order"),
        (lambda audio: by_numpy(audio) + len(audio), "one by one"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(function, words):
    with pytest.raises(AudexError, match=words) as error:
        refused(function)
    assert "\n" not in str(error.value)


def test_a_gradient_that_is_promised_is_there(clips):
    with pytest.raises(AudexError, match="gradient with respect to the audio is zero"):
        refused(by_numpy, lambda audio, cotangent: 0 * audio)
    flat = for_waveform(lambda p, a, n: jnp.zeros(2), LABELS, sample_rate=RATE, clip_seconds=0.5)
    with pytest.raises(AudexError, match="gradient with respect to the sound is zero, so"):
        flat.explain(clips[0], **QUICK)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "guesses"}, "no output 'guesses'; choose one of logits"),
        ({"labels": ("a",)}, "a detector's output is independent-logits"),
        ({"labels": ("a", "a")}, "have to be different names"),
        ({"labels": ("a", "b", "c")}, "gives 2 numbers for a clip, but there are 3 labels"),
        ({"output": "independent-logits"}, "explained one by one; choose the label: early, late"),
        ({"output": "independent-logits", "label": "x"}, "no label 'x'"),
        ({"function": lambda p, a, n: a + p["x"]}, "the classifier raised TypeError"),
        ({"function": lambda p, a, n: a[None]}, "has to be .labels. or .frames, labels."),
        ({"function": lambda p, a, n: jnp.zeros(2, int)}, "has to return floats"),
        ({"codec": "nothing"}, "not a bundle"),
    ],
)
def test_wrong_options_are_refused(options, words):
    how = {"function": energies, "labels": LABELS, "sample_rate": RATE} | options
    with pytest.raises(AudexError, match=words):
        for_waveform(how.pop("function"), how.pop("labels"), params=jnp.float32(5), **how)


def test_a_model_of_other_parameters_has_another_digest():
    from audex_jax.bundles import digest

    found = {digest(explainer(params=jnp.float32(p))) for p in (1, 2)} | {digest(on_host())}
    assert len(found) == 3


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    import subprocess
    import sys

    code = f"""
import os, jax, numpy as np, jax.numpy as jnp
jax.config.update("jax_compilation_cache_dir", {str(tmp_path)!r})
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
from jax import monitoring
counts = dict(hit=0, miss=0)
def count(event, **_):
    for name in counts:
        counts[name] += event.endswith(f"compilation_cache/cache_{{name}}s" if name == "hit" else "cache_misses")
monitoring.register_event_listener(count)
from audex_jax.adapters.explainers import for_waveform
f = lambda p, a, n: p * jnp.stack([jnp.square(a[:250]).sum(), jnp.square(a[250:]).sum()])
e = for_waveform(f, ("early", "late"), params=jnp.float32(5), sample_rate=1000, clip_seconds=0.5)
e.explain(np.sin(np.arange(500.0)).astype(np.float32), steps=4, mask_steps=1)
print(counts["hit"], counts["miss"])
"""
    environment = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    import os

    runs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
        )
        runs.append(tuple(map(int, done.stdout.split())))
    assert runs[0][1] > 0
    assert runs[1][0] > 0
    assert runs[1][1] == 0
