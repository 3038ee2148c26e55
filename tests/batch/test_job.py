"""A whole job as a user meets it: what it writes, what it says, and that it can be broken off anywhere."""

import io
import json
import pathlib
import resource
import shutil

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch import job as job_module
from audex_jax.batch import read
from audex_jax.batch.job import run_job, run_of
from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.plan import Job
from audex_jax.batch.schema import PLACE, VERDICT, judgement_columns
from audex_jax.batch.store import open_store
from audex_jax.bundles import load_explainer
from audex_jax.cli import main
from audex_jax.explain.step import Settings
from audex_jax.io.audio import read_audio

from .conftest import REJECTED, batch, rows_of, same_rows


def test_every_recording_is_explained_or_rejected_once(finished, recordings):
    rows = rows_of(finished)
    assert len({(row["id"], row["segment"]) for row in rows}) == len(rows) == 22
    rejects = [row for part in finished.glob("rejects/*") for row in pq.read_table(part).to_pylist()]
    assert {row["id"] for row in rejects} == REJECTED
    assert {"the file is empty", "not readable as audio"} <= {r["reason"].split(";")[0].split(" (")[0] for r in rejects}
    assert {row["id"] for row in rows} | REJECTED == set(read_manifest(recordings).ids)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    long = [(r["segment"], r["start_seconds"], r["end_seconds"]) for r in rows if r["id"] == "a/long.wav"]
    assert long == [(0, 0, 1), (1, 1, 2), (2, 2, 2.3)]
    assert len(list(finished.glob("parts/*"))) == 4
    assert not list(finished.rglob(".*"))


def test_a_row_says_what_explain_says(finished, recordings, model):
    explainer = load_explainer(model)
    rows = {row["id"]: row for row in rows_of(finished)}
    for name in ("a/10.wav", "b/15.wav", "b/other rate.flac"):
        e = explainer.explain(read_audio(recordings / name, 1000), steps=4, filler="noise", ranking="weighted")
        row = rows[name]
        assert (row["label"], row["prediction"], row["target"]) == (name[0], e.prediction, e.target)
        assert row["sufficient"] == e.sufficient
        assert row["converged"] == e.converged
        assert (row["verdict"], row["convergence"].split()[0]) == (e.verdict.kind, e.convergence.split()[0])
        assert row["target_probability"] == pytest.approx(e.target_probability, rel=1e-4)
        assert row["end_seconds"] == pytest.approx(len(e.audio) / 1000)
        np.testing.assert_allclose(row["attribution"], e.attribution, atol=3e-8, rtol=2e-3)
        top = row["top_elements"]
        assert abs(top[0]["attribution"]) == pytest.approx(np.abs(e.attribution).max(), rel=1e-3)
        for element in top:
            assert e.attribution[element["frame"], element["dim"]] == pytest.approx(element["attribution"], rel=1e-2)
        samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == 1000
        np.testing.assert_allclose(samples, e.audio, atol=2 / 32768)


def test_a_finished_job_has_nothing_left_to_do(finished, recordings, model, capsys):
    parts = {path: path.stat().st_mtime_ns for path in finished.glob("parts/*")}
    assert batch(recordings, model, finished, "--attribution") == 0
    assert "22 of 22 recordings done (4 of 4 parts, 22 rows), 2 rejected" in capsys.readouterr().out
    assert batch(recordings, model, finished, "--attribution", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["job"]["shards_done"] == last["shards"] == 4
    assert {"clips_per_second", "wait_share", "eta_seconds", "rejects"} <= last.keys()
    assert main(["batch", "--status", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips_done"] == 22
    assert parts == {path: path.stat().st_mtime_ns for path in finished.glob("parts/*")}


def test_another_run_is_refused(finished, recordings, model, capsys):
    assert batch(recordings, model, finished) == 1
    assert "columns.attribution: True there, False now" in capsys.readouterr().err


def test_three_processes_make_up_parts_that_are_gone_or_broken(finished, recordings, model, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    first, second, third, _ = sorted(out.glob("parts/*"))
    first.unlink()
    third.unlink()
    second.write_bytes(second.read_bytes()[:1000])
    (out / "parts" / ".part-000000.parquet.01234567.audex-tmp").write_text("left by a killed process")
    for index in (2, 0, 1):
        share = ("--num-processes", "3", "--process-id", str(index))
        assert batch(recordings, model, out, "--attribution", *share, "--max-reject-share", "1") == 0
    same_rows(rows_of(finished), rows_of(out))
    assert not list(out.rglob(".*"))


class Stop(BaseException):
    pass


def test_what_breaks_off_leaves_whole_parts_and_the_rest_is_made_up(finished, recordings, model, tmp_path):
    explainer, manifest = load_explainer(model), read_manifest(recordings)
    job = Job(Settings(steps=4, filler="noise", ranking="weighted"), shard_clips=6, batch=1, attribution=True)
    store = open_store(tmp_path, run_of(explainer, manifest, job), manifest, {})

    def stop_after_two(progress):
        if progress.shards_done == 2:
            raise Stop

    with pytest.raises(Stop):
        run_job(explainer, manifest, store, job, report=stop_after_two)
    assert len(list(tmp_path.glob("parts/*"))) == 2
    assert not list(tmp_path.rglob(".*"))
    progress = run_job(explainer, manifest, store, job)
    assert (progress.clips_done, progress.shards_done, progress.rejects) == (22, 4, 2)
    assert progress.explained < 22
    same_rows(rows_of(finished), rows_of(tmp_path))


def test_a_disk_that_is_full_in_mid_part_is_told_and_the_rest_is_made_up(finished, recordings, model, tmp_path, capsys):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        code = batch(recordings, model, tmp_path, "--attribution")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "writing shard" in error
    assert "File too large" in error
    assert not list(tmp_path.rglob(".*"))
    assert batch(recordings, model, tmp_path, "--attribution") == 0
    same_rows(rows_of(finished), rows_of(tmp_path))


def test_rejects_beyond_the_share_fail_and_can_be_tried_again(model, tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    samples = 0.1 * np.random.default_rng(0).normal(size=400)
    for name in ("x.wav", "y.wav"):
        soundfile.write(data / name, samples, 1000)
    (data / "z.wav").touch()
    columns = ("--no-audio", "--elements", "0")
    assert batch(data, model, out, *columns) == 1
    assert "1 of 3 recordings rejected, more than 10%" in capsys.readouterr().err
    assert batch(data, model, out, *columns, "--max-reject-share", "0.5") == 0
    soundfile.write(data / "z.wav", samples, 1000)
    assert batch(data, model, out, *columns, "--retry-rejects") == 0
    assert len(rows_of(out)) == 3
    assert list(rows_of(out)[0]) == [name for name, *_ in (*PLACE, *judgement_columns(), *VERDICT)]
    assert not list(out.glob("rejects/*"))


def test_what_vanishes_after_listing_or_breaks_the_decoder_is_rejected(model, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("gone.wav", "bug.wav", "fine.wav"):
        soundfile.write(data / name, 0.1 * np.random.default_rng(0).normal(size=400), 1000)
    monkeypatch.setattr("audex_jax.io.audio.MOST_SAMPLES", 70_000)
    soundfile.write(data / "long.wav", np.zeros(72_000, np.int16), 1000)
    decode = read.read_recording

    def broken(path, *how):
        if "bug" in path:
            raise MemoryError
        if "gone" in path:
            pathlib.Path(path).unlink(missing_ok=True)
        return decode(path, *how)

    monkeypatch.setattr(read, "read_recording", broken)
    assert batch(data, model, tmp_path / "out", "--max-reject-share", "1") == 0
    (part,) = (tmp_path / "out").glob("rejects/*")
    reasons = {row["id"]: row["reason"] for row in pq.read_table(part).to_pylist()}
    assert reasons.keys() == {"gone.wav", "bug.wav", "long.wav"}
    assert reasons["bug.wav"] == "MemoryError: "
    assert reasons["gone.wav"].startswith("no such file")
    assert reasons["long.wav"].startswith("too long, more than 70 s")
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["fine.wav"]


def test_a_batch_that_does_not_fit_is_told_so(recordings, model, tmp_path, monkeypatch, capsys):
    def too_large(*arguments, **options):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        yield

    monkeypatch.setattr(job_module, "explain_stream", too_large)
    assert batch(recordings, model, tmp_path / "out") == 1
    assert "a batch of 1 clips does not fit into a device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "DATA and --out are needed"),
        (("x", "--out", "y", "--batch", "0"), "batch is 0"),
        (("x", "--out", "y", "--target", "sideways"), "no label 'sideways'"),
        (("x", "--out", "y", "--num-processes", "2"), "go together"),
        (("x", "--out", "y", "--num-processes", "2", "--process-id", "2"), "one of 0 to 1"),
        (("x", "--out", "y", "--max-reject-share", "7"), "it is a share"),
        (("x", "--out", "y", "--engine", "ray", "--num-processes", "2", "--process-id", "0"), "ray"),
        (("x", "--out", "y", "--actors", "2"), "--engine ray"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(model, tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    assert main(["batch", *options, "--model", model]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())
