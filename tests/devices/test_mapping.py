"""One step on several devices: the same numbers, no talk between devices, and lowering for those that are not here."""

import ctypes
import functools
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.batch.stream import _on_host, _step
from audex_jax.bundles import save_codec
from audex_jax.codecs.encodec.config import ENCODEC_24KHZ
from audex_jax.devices.mapping import AXIS, UNDIVIDED, WIDE, _cores, few_at_a_time, map_over_devices
from audex_jax.explain.step import Settings

DEVICES_BY_FLAG = "--xla_force_host_platform_device_count=3"
COLLECTIVE = r" (all-reduce|all-gather|all-to-all|collective-permute|collective-broadcast|reduce-scatter)(-start)?\("
STEP = functools.partial(_step, settings=Settings(steps=4, ranking="weighted"), bandwidth=None)
REFINED = functools.partial(_step, settings=Settings(steps=4, ranking="refined"), bandwidth=None)


@pytest.fixture(scope="module")
def batch() -> tuple:
    audio = np.random.default_rng(0).normal(size=(8, 400, 1)).astype(np.float32)
    lengths = np.array([400, 390, 100, 150, 333, 201, 399, 400], np.int32)
    for row, length in enumerate(lengths):
        audio[row, length:] = 0
    return audio, lengths, np.full(8, -1, np.int32)


@pytest.fixture(scope="module")
def on_one(tiny_explainer, batch):
    mapped = map_over_devices(STEP, tiny_explainer.weights, "sharding", jax.local_devices()[:1])
    return _on_host(mapped.step(mapped.weights, mapped.place(batch)))


@pytest.mark.parametrize("parallel", ["pmap", "sharding"])
def test_eight_devices_give_what_one_gives_without_talking(tiny_explainer, batch, on_one, parallel):
    mapped = map_over_devices(STEP, tiny_explainer.weights, parallel)
    assert mapped.devices == 8
    placed = mapped.place(batch)
    program = jax.jit(mapped.step).lower(mapped.weights, placed).compile()
    assert re.search(COLLECTIVE, program.as_text()) is None
    assert "num_partitions=8" in program.as_text()
    with jax.transfer_guard("disallow"):
        found = program(mapped.weights, placed)
    assert len(found.attribution.sharding.device_set) == 8
    on_eight = _on_host(found)
    assert on_eight.heard.shape == (3, 8, 3)
    for name in on_one._fields:
        one, eight = getattr(on_one, name), getattr(on_eight, name)
        if one.dtype == np.float32:
            np.testing.assert_allclose(one, eight, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(one, eight, err_msg=name)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="of glibc, and asked of Linux"
)
def test_what_compiling_frees_goes_back_to_the_system_once_for_each_shape():
    libc, count, size = ctypes.CDLL(None), 2048, 1 << 16
    libc.malloc.restype = ctypes.c_void_p
    mapped = map_over_devices(lambda weights, batch: weights * batch, 2.0)

    def given_back_of_128_megabytes(clips: int) -> float:
        blocks = [ctypes.c_void_p(libc.malloc(size)) for _ in range(count)]
        for block in blocks:
            libc.memset(block, 1, size)
        for block in blocks[:-1]:  # the last one keeps glibc from giving back the others by itself
            libc.free(block)
        before = _resident()
        jax.block_until_ready(mapped.step(mapped.weights, mapped.place(np.ones((clips, 4), np.float32))))
        given_back = before - _resident()
        libc.free(blocks[-1])
        return given_back

    assert given_back_of_128_megabytes(8) > 100
    assert given_back_of_128_megabytes(8) < 30
    assert given_back_of_128_megabytes(16) > 100


def _resident() -> float:
    """Megabytes of this process."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("parallel", ["pmap", "sharding"])
def test_devices_of_a_cpu_share_the_weights(parallel):
    mapped = map_over_devices(lambda weights, batch: weights["a"] * batch, {"a": jnp.ones((64, 64))}, parallel)
    shards = mapped.weights["a"].addressable_shards
    assert len(shards) == 8
    assert len({shard.data.unsafe_buffer_pointer() for shard in shards}) == 1


@pytest.mark.parametrize(("clips", "at_once"), [(16, 16), (24, 12), (48, 16), (22, 11), (19, 19), (34, 34)])
def test_few_clips_at_a_time_are_more_than_half_as_many(clips, at_once):
    seen = []

    def step(part):
        seen.append(len(part))
        return 2 * part

    np.testing.assert_array_equal(few_at_a_time(step, jnp.arange(clips), 16), 2 * np.arange(clips))
    assert {*seen} == {at_once}


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "sharding"])
def test_refined_masks_need_no_talk_either(tiny_explainer, batch, parallel):
    mapped = map_over_devices(REFINED, tiny_explainer.weights, parallel)
    program = jax.jit(mapped.step).lower(mapped.weights, mapped.place(batch)).compile()
    assert re.search(COLLECTIVE, program.as_text()) is None
    alone = map_over_devices(REFINED, tiny_explainer.weights, "sharding", jax.local_devices()[:1])
    eight = _on_host(program(mapped.weights, mapped.place(batch)))
    for row in range(8):  # one clip a device, and one clip on one device
        one = _on_host(alone.step(alone.weights, alone.place(jax.tree.map(lambda a, row=row: a[row : row + 1], batch))))
        np.testing.assert_array_equal(one.mask[0], eight.mask[row])
        np.testing.assert_allclose(one.kept[0], eight.kept[row], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "sharding"])
def test_devices_do_not_wait_for_each_other_in_a_loop_without_fixed_end(tiny_explainer, batch, parallel):
    step = functools.partial(_step, settings=Settings(steps="auto", ranking="weighted"), bandwidth=None)
    mapped = map_over_devices(step, tiny_explainer.weights, parallel)
    program = jax.jit(mapped.step).lower(mapped.weights, mapped.place(batch)).compile()
    assert re.search(COLLECTIVE, program.as_text()) is None


@pytest.mark.parametrize("parallel", ["pmap", "sharding"])
def test_a_collective_would_be_seen(parallel):
    def step(weights, x):  # each clip minus the mean of all
        return weights * x - jax.lax.pmean(x, AXIS)

    mapped = map_over_devices(step, jnp.float32(1), parallel)
    compiled = jax.jit(mapped.step).lower(mapped.weights, mapped.place(np.ones((8, 4), np.float32))).compile()
    assert re.search(COLLECTIVE, compiled.as_text())


@pytest.mark.parametrize(("parallel", "step"), [("pmap", STEP), ("pmap", REFINED), ("sharding", STEP)])
def test_it_lowers_for_tpu_and_cuda(tiny_explainer, batch, parallel, step):
    mapped = map_over_devices(step, tiny_explainer.weights, parallel)
    exported = jax.export.export(jax.jit(mapped.step), platforms=["tpu", "cuda"])(mapped.weights, mapped.place(batch))
    assert exported.platforms == ("tpu", "cuda")
    assert exported.nr_devices == 8
    assert "stablehlo.convolution" in exported.mlir_module()


def test_one_device_and_an_unknown_way():
    mapped = map_over_devices(lambda w, x: w + x, 1.0, devices=jax.local_devices()[:1])
    np.testing.assert_array_equal(
        mapped.step(mapped.weights, mapped.place(np.arange(3.0, dtype=np.float32))), [[1, 2, 3]]
    )
    with pytest.raises(ValueError, match="no way 'magic'"):
        map_over_devices(lambda w, x: x, 1.0, "magic")


@pytest.mark.parametrize("told", [{}, {"JAX_NUM_CPU_DEVICES": "3"}, {"XLA_FLAGS": DEVICES_BY_FLAG}])
def test_each_core_is_a_device_unless_somebody_settled_it(told):
    code = "from audex_jax import parallel; parallel.a_device_for_each_core(); print(len(jax.devices()), pool())"
    devices, threads = map(int, _alone(code, told).stdout.split())
    assert devices == (3 if told else _cores())
    assert threads > devices if told else threads == devices


@pytest.mark.skipif(sys.platform != "linux", reason="the cores of a thread are told by Linux")
def test_where_cores_cannot_be_chosen_a_thread_is_to_spare():
    code = """
import os
from audex_jax import parallel
def forbidden(*_): raise PermissionError
os.sched_setaffinity = forbidden
parallel.a_device_for_each_core()
print(len(jax.devices()), pool(), parallel.UNDIVIDED in os.environ.get("XLA_FLAGS", ""))
"""
    done = _alone(code, {})
    assert done.stdout == f"{_cores()} {_cores() + 1} False\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the cores of a thread are told by Linux")
def test_only_what_compiles_is_kept_to_one_core():
    """Started so, XLA cuts no operation; a process that it starts in turn does, and does not keep its mark."""
    code = """
import os
from audex_jax import parallel
START
cores = os.sched_getaffinity(0)
free = all(os.sched_getaffinity(int(thread)) == cores for thread in parallel._pool())
print(len(cores), free, parallel._cuts_operations(), parallel.UNDIVIDED in os.environ["XLA_FLAGS"])
"""
    done = _alone(code.replace("START", "parallel.a_device_for_each_core()"), {})
    assert done.stdout == f"{_cores()} True False True\n", done.stderr
    done = _alone(code.replace("START", "jax.devices()"), {"XLA_FLAGS": UNDIVIDED})
    assert done.stdout == f"{_cores()} True {_cores() > 1} False\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the cores of a thread are told by Linux")
@pytest.mark.parametrize("told", ["", "--xla_cpu_prefer_vector_width=256"])
def test_vectors_are_wide_unless_somebody_chose_their_width(told):
    code = """
import os
from audex_jax import parallel
parallel.a_device_for_each_core()
print([flag for flag in os.environ["XLA_FLAGS"].split() if "vector_width" in flag])
"""
    done = _alone(code, {"XLA_FLAGS": told})
    assert done.stdout == f"{[told or WIDE]}\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_devices_that_hold_every_thread_are_refused():
    code = "jax.config.update('jax_num_cpu_devices', 9); jax.devices(); from audex_jax.devices.mapping import map_over_devices"
    evaluate = "from audex_jax.evaluation import run; run.evaluate(None, [], None, devices=jax.local_devices())"
    for use in ("map_over_devices(lambda w, x: x, 1.0)", evaluate):
        done = _alone(f"{code}; {use}", {"PJRT_NPROC": "9"})
        assert "AudexError: 9 devices of this CPU would hold all 9 threads" in done.stderr
        assert "PJRT_NPROC=10" in done.stderr
    done = _alone(f"{code}; print(map_over_devices(lambda w, x: x, 1.0).devices)", {"PJRT_NPROC": "10"})
    assert done.stdout == "9\n"


TWICE_ENCODED = """
import pathlib, jax.numpy as jnp, numpy as np
from audex_jax.bundles import load_codec
from audex_jax.devices.mapping import a_device_for_each_core, map_over_devices
a_device_for_each_core()
alone = pathlib.Path("alone.npy")

def encode_decode_encode(codec, audio):
    z = codec.encoder(audio)
    return codec.encoder(codec.decoder(jnp.concatenate([z, z / 2, -z])))

codec = load_codec("codec")
audio = np.random.default_rng(0).normal(size=(16, 24_000, 1)).astype(np.float32)
devices = jax.local_devices()
if not alone.exists():
    one = map_over_devices(encode_decode_encode, codec, devices=devices[:1])
    np.save(alone, np.asarray(one.step(one.weights, one.place(audio)))[0])
each, expected = map_over_devices(encode_decode_encode, codec, devices=devices), np.load(alone)
for turn in range(2):
    for found in np.asarray(each.step(each.weights, each.place(np.concatenate([audio] * len(devices))))):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
print("alike")
"""


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.skipif(_cores() > 4, reason="memory and time grow with the cores")
def test_devices_at_work_together_give_what_one_gives(codec_of, tmp_path):
    """Many clips of the published codec: enough to fill the queues of XLA's pool, were its operations cut."""
    save_codec(tmp_path / "codec", codec_of(ENCODEC_24KHZ), {})
    for told in ({}, {"JAX_NUM_CPU_DEVICES": str(_cores())}):  # nothing cut; a thread to spare
        done = _alone(TWICE_ENCODED, told, tmp_path)
        assert done.stdout == "alike\n", done.stderr


def _alone(code: str, told: dict[str, str], folder: pathlib.Path | None = None) -> subprocess.CompletedProcess:
    """A process whose devices nobody told but `told`; `pool()` in it counts the threads of XLA's pool."""
    names = ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "PJRT_NPROC", "NPROC")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    pool = "lambda: sum('tf_XLAEigen' in open(name).read() for name in glob('/proc/self/task/*/comm'))"
    code = f"import jax\nfrom glob import glob\npool = {pool}\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain | told, cwd=folder)
