"""Jobs on Ray: the actors by themselves, and a local cluster that loses one of them."""

import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audex_jax.batch.job import run_of
from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.plan import Job
from audex_jax.batch.store import open_store
from audex_jax.bundles import load_explainer
from audex_jax.cli import main
from audex_jax.core.errors import AudexError
from audex_jax.explain.step import Settings
from audex_jax.integrations.ray import ExplainActor, ShardActor, shard_table

from .conftest import REJECTED, rows_of, same_rows
from .test_processes import finish, hidden, start, wait_for_parts

JOB = Job(Settings(steps=4, filler="noise", ranking="weighted"), shard_clips=6, batch=1, attribution=True)
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")


def test_an_actor_explains_a_batch_of_anyones_pipeline(recordings, model, finished):
    manifest = read_manifest(recordings)
    table = manifest.table()
    found = ExplainActor(model, JOB)(table).to_pylist()
    rows = [row for row in found if row["reason"] is None]
    assert {row["id"]: bool(row["reason"]) for row in found if row["reason"]} == dict.fromkeys(REJECTED, True)
    known = {path: row["path"] for path, row in zip(manifest.paths, table.to_pylist(), strict=True)}
    assert len(known) == 22
    same_rows(rows_of(finished), [{k: v for k, v in row.items() if k != "reason"} for row in rows])
    batch = {"path": np.array(manifest.paths[:2])}
    assert [row["id"] for row in ExplainActor(model, JOB)(batch).to_pylist()] == list(manifest.paths[:2])
    with pytest.raises(AudexError, match="no column `path`; it has file"):
        ExplainActor(model, JOB)(pa.table({"file": ["x.wav"]}))


def test_an_actor_puts_shards_where_a_job_puts_them(recordings, model, finished, tmp_path):
    explainer, manifest = load_explainer(model), read_manifest(recordings)
    store = open_store(tmp_path, run_of(explainer, manifest, JOB), manifest, {})
    actor = ShardActor(model, JOB, store)
    said = [actor(shard_table(manifest, shard, 6)) for shard in reversed(range(store.shards))]
    assert sum(one["clips"][0] for one in said) == 22
    same_rows(rows_of(finished), rows_of(tmp_path))
    for kind in ("parts", "rejects"):
        names = [sorted(path.name for path in (out / kind).iterdir()) for out in (finished, tmp_path)]
        assert names[0] == names[1]
    for name in names[0]:
        assert pq.read_table(finished / "rejects" / name).equals(pq.read_table(tmp_path / "rejects" / name))


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install(recordings, model, tmp_path, capsys):
    options = ("--model", model, "--out", str(tmp_path / "out"), "--engine", "ray")
    assert main(["batch", str(recordings), *options]) == 1
    assert "pip install 'audex-jax[ray]'" in capsys.readouterr().err


def actors_of(process: int) -> list[int]:
    """Processes of Ray's actors that a process has started, however indirectly."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    words = {int(pid): (int(parent), " ".join(args)) for pid, parent, *args in map(str.split, listed.splitlines())}

    def descends(number: int) -> bool:
        return number == process or (number in words and descends(words[number][0]))

    return [
        pid for pid, (_, args) in words.items() if args.startswith("ray::") and "ShardActor" in args and descends(pid)
    ]


@needs_ray
@pytest.mark.slow
def test_a_job_on_ray_writes_what_one_process_writes_though_an_actor_is_killed(many, model, tmp_path):
    data, out = many(600), tmp_path / "out"
    finish(start(data, model, tmp_path / "one"))
    job = start(data, model, out, "--engine", "ray", "--actors", "2", devices=1)
    wait_for_parts(job, out, 10)
    first, second = actors_of(job.pid)
    os.kill(first, signal.SIGKILL)
    before = len(list(out.glob("parts/part-*")))
    assert "600 of 600 recordings done" in finish(job)
    assert before < 100
    same_rows(rows_of(tmp_path / "one"), rows_of(out))
    rejects = [sorted(path.name for path in (tmp_path / name / "rejects").iterdir()) for name in ("one", "out")]
    assert rejects[0] == rejects[1]
    assert not hidden(out)
    assert second not in actors_of(job.pid)


@needs_ray
@pytest.mark.slow
def test_what_an_actor_cannot_do_is_one_line(recordings, model, finished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "parts")
    (out / "parts").touch()
    job = start(recordings, model, out, "--attribution", "--engine", "ray", "--actors", "1", devices=1)
    _, error = job.communicate(timeout=300)
    assert job.returncode == 1
    assert "Traceback" not in error
    assert f"audex batch: {out}: writing shard" in error.splitlines()[-1]


@needs_ray
@pytest.mark.slow
def test_a_job_on_ray_that_is_stopped_leaves_whole_parts_and_no_process(many, model, tmp_path):
    data, out = many(600), tmp_path / "out"
    job = start(data, model, out, "--engine", "ray", "--actors", "2", devices=1)
    wait_for_parts(job, out, 5)
    actors = actors_of(job.pid)
    job.send_signal(signal.SIGTERM)
    told = time.monotonic()
    _, error = job.communicate(timeout=60)
    assert time.monotonic() - told < 10
    assert "stopped" in error
    assert len(actors) == 2
    assert not any(pathlib.Path(f"/proc/{actor}").exists() for actor in actors)
    assert "600 of 600 recordings done" in finish(start(data, model, out))
    assert not hidden(out)
