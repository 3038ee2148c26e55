"""The mapped step as the TPU's and the GPU's own compilers make it: devices never talk, nor do they call the host.

No device is needed; the compilers come with the extras `tpu` and `cuda-compiler`. Each runs in a process of its own,
since they change which backends there are.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import functools, json, sys
import numpy as np
from benchmarks import compiled, compiling  # sets what the compilers need, ahead of JAX
import jax, jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from audex_jax.batch.stream import _step
from audex_jax.classifiers.log_mel import LogMelConfig, LogMelConvNet
from audex_jax.core.settings import Settings
from audex_jax.devices.mapping import AXIS, mapped_step
from benchmarks.subject import explainer_of

chip, parallel, job = sys.argv[1:]
compiling.use_form_for("cuda" if chip == "h100" else "tpu")
model = explainer_of("tiny").model
if job == "waveform":
    heard = LogMelConvNet(LogMelConfig(sample_rate=model.codec.sample_rate, classes=3, width=8), rngs=nnx.Rngs(0))
    model = model._replace(classifier=heard)
how = {"weighted": {"ranking": "weighted", "steps": 4}, "default": {"steps": 4}, "auto": {"steps": "auto"}}
settings = Settings(**how.get(job, how["weighted"]))
devices = compiling.devices_of(chip)
step = mapped_step(functools.partial(_step, settings=settings), parallel, list(devices))
mesh = Mesh(np.array(devices), (AXIS,))

def placed(array, spec):
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=NamedSharding(mesh, spec))

clips = jnp.zeros((len(devices), 2, 500, 1)), *2 * [jnp.zeros((len(devices), 2), jnp.int32)]
weights = jax.tree.map(lambda a: placed(a, PartitionSpec()), model)
batch = jax.tree.map(lambda a: placed(a, PartitionSpec(AXIS)), clips)
text = jax.jit(step).lower(weights, batch).compile().as_text()
print(json.dumps({"devices": len(devices), **compiled.talk(compiled.read(text))}))
"""
CASES = [
    ("v5e:4x4", "pmap", "weighted", 16),
    ("v5e:4x4", "shard_map", "default", 16),
    ("v5e:4x4", "pmap", "auto", 16),
    ("v5p:2x2x1", "pmap", "default", 4),
    ("v5p:2x2x1", "pmap", "waveform", 4),
    ("h100", "shard_map", "weighted", 1),
]


@pytest.mark.parametrize(("chip", "parallel", "job", "devices"), CASES)
def test_devices_neither_talk_nor_call_their_host(chip, parallel, job, devices):
    package, extra = ("jax_cuda12_plugin", "cuda-compiler") if chip == "h100" else ("libtpu", "tpu")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs the extra `{extra}`")
    left_out = ("JAX_NUM_CPU_DEVICES", "PJRT_NPROC", "XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    variables["PYTHONPATH"] = str(pathlib.Path(__file__).parents[2])
    command = [sys.executable, "-c", SCRIPT, chip, parallel, job]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"devices": devices, "collectives": 0, "transfers": 0}
