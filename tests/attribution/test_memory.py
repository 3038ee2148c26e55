"""Peak memory does not grow with the number of path points, measured in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

MEASURE = """
import json
import jax, jax.numpy as jnp
from flax import nnx
from audex_jax.attribution import integrated_gradients
from audex_jax.classifier import ClassifierConfig, LatentClassifier

config = ClassifierConfig(dim=16, classes=4, frames=50, width=64, layers=1, heads=2, feed_forward=128)
classifier = LatentClassifier(config, rngs=nnx.Rngs(0))
clip = jax.random.normal(jax.random.key(0), (50, 16))

def peak(steps, chunk):
    explain = jax.jit(
        lambda z: integrated_gradients(lambda z: classifier(z, jnp.ones(50, bool))[0], z, 0.0, steps=steps, chunk=chunk)
    )
    jax.block_until_ready(explain(clip))
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0])  # ru_maxrss would count the parent's memory

print(json.dumps([peak(16, 8), peak(2000, 8), peak(2000, 2000)]))
"""


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_two_thousand_points_cost_what_sixteen_cost():
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, env=environment, check=True)
    few, many, at_once = json.loads(run.stdout)
    assert many <= 1.05 * few
    assert at_once > 1.3 * few  # the measure can tell: without chunks it does grow
