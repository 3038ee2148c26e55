"""A pod's day: many processes with many devices each, some killed, one slow, one whose device fails; nothing is lost.

The size is that of a short test; `AUDEX_POD=8,8,50000,20` sets processes, devices of each, clips, and seconds between
kills. Only a process that has finished a part since it was started is killed, so that the day ends on a slow machine.
"""

import os
import random
import subprocess
import sys
import time

import pytest

from audex_jax.batch.merge import status
from audex_jax.batch.store import load_store

from .conftest import rows_of, same_rows
from .test_processes import PROGRAM, hidden

PROCESSES, DEVICES, CLIPS, SECONDS = map(int, os.environ.get("AUDEX_POD", "3,2,120,5").split(","))
OPTIONS = (
    "--ranking", "weighted", "--steps", "4", "--filler", "noise", "--shard-clips", "10", "--batch", "8", "--quiet",
    "--workers", "2", "--elements", "4", "--control", "0", "--max-reject-share", "1",
)  # fmt: skip
SLOW = """
import time
from audex_jax.batch import read
usual = read.read_recording
read.read_recording = lambda *given: time.sleep(0.05) or usual(*given)
"""
FAILING = """
import itertools, jax
from audex_jax.batch import job
usual, steps = job.on_devices, itertools.count(1)
def on_devices(*given):
    mapped = usual(*given)
    def step(*arrays):
        if next(steps) == 2:
            raise jax.errors.JaxRuntimeError("INTERNAL: the device is lost")
        return mapped.step(*arrays)
    return mapped._replace(step=step)
job.on_devices = on_devices
"""


def start(data, model, out, index: int, count: int, before: str = "") -> subprocess.Popen:
    words = ["batch", str(data), "--model", model, "--out", str(out), *OPTIONS]
    words += ["--num-processes", str(count), "--process-id", str(index)]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(DEVICES)}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen([sys.executable, "-c", before + PROGRAM, *words], **pipes)


@pytest.mark.long
def test_a_day_of_a_pod_ends_with_what_an_undisturbed_job_writes(many, model, tmp_path):
    data, out = many(CLIPS), tmp_path / "out"
    whole = start(data, model, tmp_path / "undisturbed", 0, 1)
    error = whole.communicate()[1]
    assert whole.returncode == 0, error
    chance, kills, failures, killed = random.Random(0), 0, 0, set()
    running = {i: start(data, model, out, i, PROCESSES, {0: SLOW, 1: FAILING}.get(i, "")) for i in range(PROCESSES)}
    last, done = time.monotonic(), dict.fromkeys(range(PROCESSES), 0)

    def finished(index: int) -> int:
        """Parts of a process's share that are there."""
        names = (path.name for path in out.glob("parts/part-*"))
        return sum(int(name[5:11]) % PROCESSES == index for name in names)

    while running:
        time.sleep(0.2)
        able = [i for i in running if running[i].poll() is None and finished(i) > done[i] and (failures or i != 1)]
        if able and time.monotonic() - last > SECONDS:
            index, last = chance.choice(able), time.monotonic()
            running[index].kill()
            killed.add(index)
            kills += 1
        for index, process in list(running.items()):
            if process.poll() is None:
                continue
            error = process.communicate()[1]
            del running[index]
            if process.returncode and index not in killed:
                assert (index, failures) == (1, 0), error
                assert "the device is lost" in error
                failures += 1
            if process.returncode:
                killed.discard(index)
                done[index] = finished(index)
                running[index] = start(data, model, out, index, PROCESSES, SLOW if index == 0 else "")
    state = status(load_store(out))
    print(f"{kills} kills, {failures} failures, {state}")
    assert state["shards_done"] == state["shards"]
    assert failures == 1
    same_rows(rows_of(tmp_path / "undisturbed"), rows_of(out))
    assert not hidden(out)
