"""One step on several devices: the same numbers, no talk between devices, and lowering for those that are not here."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.batch.stream import _step
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.devices.mapping import AXIS, in_parts, map_over_devices
from audex_jax.explain.model import encode_and_classify

COLLECTIVE = r" (all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter)(-start)?\("
EXPLAIN = functools.partial(_step, settings=Settings(steps=4, ranking="weighted"))
LOOPS = functools.partial(_step, settings=Settings(steps="auto", ranking="matched-mask"))  # without fixed end
both_ways = pytest.mark.parametrize("parallel", ["pmap", "shard_map"])


@pytest.fixture(scope="module")
def batch() -> tuple:
    audio = np.random.default_rng(0).normal(size=(8, 400, 1)).astype(np.float32)
    lengths = np.array([400, 390, 100, 150, 333, 201, 399, 400], np.int32)
    for row, length in enumerate(lengths):
        audio[row, length:] = 0
    return audio, lengths, np.full(8, -1, np.int32)


@pytest.fixture(scope="module")
def plain(mdct_explainer, batch):
    return jax.jit(cheap)(mdct_explainer.model, batch)


def cheap(model, batch):
    """A step that compiles fast."""
    return encode_and_classify(model, *batch)


def alike(one, other):
    """The same up to rounding, in the same shapes once the axis of devices is gone."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b).reshape(a.shape)
        (np.testing.assert_array_equal if a.dtype != np.float32 else close)(a, b)


close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


@both_ways
def test_eight_devices_give_what_the_plain_step_gives(mdct_explainer, batch, plain, parallel):
    mapped = map_over_devices(cheap, mdct_explainer.model, parallel)
    placed = mapped.place(batch)
    mapped.step(mapped.weights, placed)
    with jax.transfer_guard("disallow"):
        found = mapped.step(mapped.weights, placed)
    assert mapped.devices == len(found.latent.sharding.device_set) == 8
    alike(plain, found)


@pytest.mark.parametrize(
    ("parallel", "step"), [("pmap", EXPLAIN), pytest.param("shard_map", LOOPS, marks=pytest.mark.slow)]
)
def test_explaining_devices_do_not_talk(mdct_explainer, batch, parallel, step):
    mapped = map_over_devices(step, mdct_explainer.model, parallel)
    program = jax.jit(mapped.step).lower(mapped.weights, mapped.place(batch)).compile()
    assert re.search(COLLECTIVE, program.as_text() or "") is None


@both_ways
def test_a_collective_would_be_seen(parallel):
    mapped = map_over_devices(lambda w, x: w * x - jax.lax.pmean(x, AXIS), jnp.float32(1), parallel)
    program = jax.jit(mapped.step).lower(mapped.weights, mapped.place(np.ones((8, 4), np.float32))).compile()
    assert re.search(COLLECTIVE, program.as_text() or "")


def test_micro_batches_give_what_the_whole_batch_gives(mdct_explainer, batch, plain):
    mapped = map_over_devices(cheap, mdct_explainer.model, devices=jax.local_devices()[:1], micro_batch=4)
    alike(plain, mapped.step(mapped.weights, mapped.place(batch)))


@pytest.mark.parametrize(("clips", "at_once"), [(16, 16), (24, 12), (48, 16), (22, 11), (19, 19), (34, 34)])
def test_a_micro_batch_divides_the_batch_or_is_all_of_it(clips, at_once):
    found = in_parts(lambda weights, part: jnp.full(len(part), len(part)), 16)(None, np.arange(clips))
    np.testing.assert_array_equal(found, np.full(clips, at_once))


@both_ways
def test_it_lowers_for_tpu_and_cuda(tiny_explainer, batch, parallel):
    mapped = map_over_devices(EXPLAIN, tiny_explainer.model, parallel)
    exported = jax.export.export(jax.jit(mapped.step), platforms=["tpu", "cuda"])(mapped.weights, mapped.place(batch))
    assert (exported.platforms, exported.nr_devices) == (("tpu", "cuda"), 8)


def test_an_unknown_way_is_refused():
    with pytest.raises(AudexError, match="no parallel 'magic'; choose one of auto, pmap, shard_map"):
        map_over_devices(lambda w, x: x, 1.0, "magic")
