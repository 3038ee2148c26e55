"""The spare thread of XLA's pool: asked for, refused where it is missing, and enough."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from audex_jax.devices.cpu import cores

REPORT = pathlib.Path(__file__).parents[2] / "benchmarks" / "xla_cpu_thread_pool.md"
NAMES = ("JAX_NUM_CPU_DEVICES", "PJRT_NPROC", "NPROC", "XLA_FLAGS")


def alone(code: str, **told: str) -> subprocess.CompletedProcess:
    """A process in which nothing but `told` says how many devices and threads there are."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | told
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("told", [{}, {"JAX_NUM_CPU_DEVICES": "3"}, {"JAX_NUM_CPU_DEVICES": "3", "PJRT_NPROC": "7"}])
def test_each_core_is_a_device_with_a_thread_to_spare(told):
    code = """
import os, jax
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.devices.mapping import map_over_devices
before = os.environ.get("PJRT_NPROC")
use_each_core_as_a_device()
print(before, map_over_devices(lambda w, x: x, 1.0).devices, os.environ["PJRT_NPROC"])
"""
    done = alone(code, **told)
    devices = int(told.get("JAX_NUM_CPU_DEVICES", cores()))
    threads = max(int(told.get("PJRT_NPROC", cores())), devices + 1)
    assert done.stdout == f"{told.get('PJRT_NPROC')} {devices} {threads}\n", done.stderr


def test_devices_without_a_thread_to_spare_are_refused_even_if_asked_for_too_late():
    code = """
import jax
from audex_jax.core.errors import AudexError
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.devices.mapping import map_over_devices
from audex_jax.evaluation.run import evaluate
devices = jax.devices()
use_each_core_as_a_device()
for use in (lambda: map_over_devices(lambda w, x: x, 1.0), lambda: evaluate(None, [], None, devices=devices)):
    try:
        use()
    except AudexError as error:
        print(error)
print(map_over_devices(lambda w, x: x, 1.0, devices=devices[:8]).devices)
"""
    done = alone(code, JAX_NUM_CPU_DEVICES="9", PJRT_NPROC="9")
    *refused, accepted = done.stdout.splitlines()
    assert len(refused) == 2, done.stderr
    assert all("9 CPU devices would use all 9 threads" in text and "PJRT_NPROC=10" in text for text in refused)
    assert accepted == "8"


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.skipif(cores() > 4, reason="memory and time grow with the cores")
def test_with_a_thread_to_spare_the_program_of_the_bug_report_is_right():
    (program,) = re.findall(r"```python\n(.*?)```", REPORT.read_text(), re.DOTALL)
    done = alone(program, PJRT_NPROC=str(cores() + 1))
    assert set(re.findall(r"wrong in (\d+) of 40", done.stdout)) == {"0"}, done.stdout + done.stderr
