"""Clips in, explanations out: the same as one by one, whatever the loader does."""

import subprocess
import sys
import time

import numpy as np
import pytest

import audex_jax as audex
from audex_jax.batch.stream import Clip, Mark, Meter, ahead, buckets, explain_stream, on_devices
from audex_jax.explain.step import Settings

SETTINGS = {"steps": 4, "filler": "noise", "ranking": "weighted"}


@pytest.fixture
def clips(rng) -> list[np.ndarray]:
    return [0.1 * rng.normal(size=n).astype(np.float32) for n in (1000, 240, 510, 90, 777)]


def alike(one, other):
    for name in ("target", "prediction", "sufficient", "latent_necessary", "silent"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_allclose(one.attribution, other.attribution, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(one.audio, other.audio, atol=1e-4)
    assert one.target_probability == pytest.approx(other.target_probability, rel=1e-4)


def test_batches_are_explained_as_single_clips_are(mdct_explainer, clips):
    found = dict(audex.explain_batches(mdct_explainer, enumerate(clips), batch=1, target="up", **SETTINGS))
    assert sorted(found) == list(range(5))
    for key, clip in enumerate(clips):
        alike(found[key], mdct_explainer.explain(clip, "up", **SETTINGS))


@pytest.mark.slow
@pytest.mark.parametrize("ranking", ["weighted", "matched-mask"])
def test_short_clips_in_short_batches_are_explained_alike(mdct_explainer, clips, ranking):
    settings = {"steps": 4, "ranking": ranking}
    found = dict(audex.explain_batches(mdct_explainer, enumerate(clips), batch=1, **settings))
    for key, clip in enumerate(clips):
        alike(found[key], mdct_explainer.explain(clip, **settings))


def test_padding_is_varied_unless_it_changes_something(mdct_explainer):
    assert buckets(mdct_explainer, Settings()) == [260, 500, 1000]
    assert buckets(mdct_explainer, Settings(filler="noise")) == [1000]


def test_marks_come_out_behind_the_clips_before_them(mdct_explainer, clips):
    items = [Clip(0, clips[0]), Mark("a"), Mark("b"), Clip(1, clips[1]), Clip(2, clips[2]), Mark("c")]
    meter = Meter()
    settings = Settings(**SETTINGS)
    mapped = on_devices(mdct_explainer, settings)
    found = list(explain_stream(mdct_explainer, mapped, items, settings, batch=1, meter=meter))
    order = [f.value if isinstance(f, Mark) else sorted(key for key, _ in f) for f in found]
    assert order == [[0], "a", "b", [1, 2], "c"]
    assert meter.steps == 2
    assert 0 <= meter.wait_share <= 1


def test_no_clips_give_no_explanations(mdct_explainer):
    assert list(audex.explain_batches(mdct_explainer, [])) == []


def broken_loader():
    raise RuntimeError("the disk is gone")
    yield


@pytest.mark.parametrize(
    ("loader", "error", "says"),
    [(broken_loader(), RuntimeError, "the disk is gone"), ([("x", np.zeros(1001))], ValueError, "1001 samples")],
)
def test_what_the_loader_raises_and_what_it_should_not_give_arrive_here(mdct_explainer, loader, error, says):
    with pytest.raises(error, match=says):
        list(audex.explain_batches(mdct_explainer, loader))


def test_closing_early_closes_the_source():
    closed = []

    def source():
        try:
            yield from range(100)
        finally:
            closed.append(True)

    items = ahead(ahead(source()))
    assert next(items) == 0
    items.close()
    deadline = time.monotonic() + 5
    while not closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert closed


AT_THE_END = """
import sys
import jax, jax.numpy as jnp
from audex_jax.batch.stream import ahead
busy = jax.jit(lambda x: jax.lax.fori_loop(0, 100, lambda i, a: 1e-3 * a @ a, x))
x = jax.block_until_ready(busy(jnp.ones((500, 500))))

def source():
    while True:
        yield jax.block_until_ready(busy(x))

items = ahead(ahead(source()))
next(items)
sys.exit(3)
"""


def test_a_process_may_end_while_a_step_is_under_way():
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr


def test_waiting_can_be_broken_off():
    def slow():
        time.sleep(1)
        yield 1

    def stop():
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(ahead(slow(), stop))
    assert time.monotonic() - started < 0.5
