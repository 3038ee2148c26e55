"""Jobs in processes of their own: killed, stopped, on other numbers of devices and processes, without disk."""

import argparse
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from audex_jax.cli import UsageError
from audex_jax.cli.processes import join

from .conftest import OPTIONS, rows_of, same_rows

PROGRAM = "import sys; from audex_jax.cli import main; sys.exit(main())"


def start(data, model, out, *options: str, devices: int = 8) -> subprocess.Popen:
    command = [sys.executable, "-c", PROGRAM, "batch", str(data), "--model", model, "--out", str(out)]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen([*command, *OPTIONS, "--max-reject-share", "1", *options], **pipes)


def finish(process: subprocess.Popen) -> str:
    """What a process that ends well says on stdout."""
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


def hidden(out: pathlib.Path) -> list[pathlib.Path]:
    return list(out.rglob(".*"))


@pytest.mark.slow
def test_one_device_writes_what_eight_write(recordings, model, tmp_path):
    jobs = {n: start(recordings, model, tmp_path / str(n), "--attribution", devices=n) for n in (1, 8)}
    for job in jobs.values():
        finish(job)
    one, eight = rows_of(tmp_path / "1"), rows_of(tmp_path / "8")
    same_rows([row | {"attribution": None} for row in one], [row | {"attribution": None} for row in eight])
    for a, b in zip(one, eight, strict=True):
        np.testing.assert_allclose(a["attribution"], b["attribution"], rtol=2e-3, atol=1e-6)


@pytest.mark.slow
def test_a_stopped_job_leaves_whole_parts_within_ten_seconds(many, model, tmp_path):
    data, out = many(160), tmp_path / "out"
    job = start(data, model, out)
    wait_for_parts(job, out, 2)
    job.send_signal(signal.SIGTERM)
    told = time.monotonic()
    _, error = job.communicate(timeout=60)
    assert time.monotonic() - told < 10
    assert job.returncode == 1
    assert error.startswith("audex batch: stopped")
    assert "the same command goes on" in error
    assert not list(out.glob("parts/.*"))
    before = len(list(out.glob("parts/*")))
    assert 2 <= before < 27
    assert "160 of 160 recordings done" in finish(start(data, model, out))
    assert not hidden(out)


def wait_for_parts(job: subprocess.Popen, out: pathlib.Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(list(out.glob("parts/part-*"))) < count and job.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_meet_through_jax_write_what_one_writes(recordings, model, tmp_path, count):
    finish(start(recordings, model, tmp_path / "one"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    share = ("--coordinator", address, "--num-processes", str(count), "--process-id")
    jobs = [start(recordings, model, tmp_path / "out", *share, str(i)) for i in range(count)]
    for job in jobs:
        finish(job)
    same_rows(rows_of(tmp_path / "one"), rows_of(tmp_path / "out"))
    assert not hidden(tmp_path / "out")


@pytest.mark.long
def test_a_job_that_is_killed_twenty_times_loses_and_doubles_nothing(many, model, tmp_path):
    data, out = many(2000), tmp_path / "out"
    started = time.monotonic()
    finish(start(data, model, tmp_path / "undisturbed"))
    whole = time.monotonic() - started
    chance = random.Random(0)
    kills = 0
    while kills < 20:
        job = start(data, model, out)
        done = len(list(out.glob("parts/part-*")))
        wait_for_parts(job, out, done + chance.randrange(14))  # somewhere in the next few shards
        time.sleep(chance.uniform(0, whole / 50))
        assert job.poll() is None, job.communicate()
        job.kill()
        job.communicate()
        kills += 1
    finish(start(data, model, out))
    same_rows(rows_of(tmp_path / "undisturbed"), rows_of(out))
    rejects = [len(list((tmp_path / name).glob("rejects/*"))) for name in ("undisturbed", "out")]
    assert rejects[0] == rejects[1] > 0
    assert not hidden(out)


def test_which_process_one_is_does_not_rest_on_jax(monkeypatch):
    """With Pathways a single process sees all devices, and JAX counts one process wherever it is asked."""
    monkeypatch.setattr(jax.distributed, "initialize", lambda *_: None)
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: None)
    given = {"actors": 0, "engine": "local", "distributed": True, "coordinator": None}
    named = [argparse.Namespace(**given, num_processes=4, process_id=i) for i in range(4)]
    assert [join(arguments) for arguments in named] == [(i, 4) for i in range(4)]
    assert join(argparse.Namespace(**given, num_processes=None, process_id=None)) == (0, 1)
    for count, index in ((4, None), (4, 4), (None, 0)):
        with pytest.raises(UsageError):
            join(argparse.Namespace(**given, num_processes=count, process_id=index))
