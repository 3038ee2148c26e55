"""Jobs on an object store: a real S3 server on this machine, with every fault that networks have."""

import errno
import itertools
import pathlib
import random
import shutil
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.merge import status
from audex_jax.batch.read import read_recordings
from audex_jax.batch.store import open_store
from audex_jax.cli import main
from audex_jax.core.errors import AudexError
from audex_jax.io import remote
from audex_jax.io.files import opened
from audex_jax.io.places import Bucket, place_of
from audex_jax.io.remote import StoreError

from .conftest import batch, rows_of, same_rows
from .faulty_s3 import BUCKET, KINDS, running
from .test_processes import finish, start
from .test_store import MANIFEST, NONE, RESULTS, RUN

for needed in ("moto", "s3fs", "flask"):
    pytest.importorskip(needed, reason="needs the extras `cloud` and `test`")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def s3():
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def seven(recordings, tmp_path_factory) -> pathlib.Path:
    """Seven of the small job's recordings, one of them broken."""
    root = tmp_path_factory.mktemp("seven") / "recordings"
    for name in ("a/0.wav", "a/10.wav", "a/empty.wav", "a/long.wav", "b/1.wav", "b/15.wav", "b/other rate.flac"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(recordings / name, root / name)
    return root


@pytest.fixture(scope="module")
def stored(s3, seven) -> str:
    """The same on a store."""
    return s3.put(seven, "recordings")


@pytest.fixture
def out(request) -> str:
    return f"s3://{BUCKET}/{request.node.name}"


@pytest.fixture
def patient(monkeypatch) -> None:
    """Tries follow one another quickly."""
    monkeypatch.setattr(remote, "PAUSE", 0.001)


def rows(address: str) -> list[dict]:
    place = place_of(address)
    parts = (pq.read_table(pa.BufferReader(place.read(f"parts/{name}"))) for name in place.names("parts"))
    return [row for part in parts for row in part.to_pylist()]


def without_path(found: list[dict]) -> list[dict]:
    return [row | {"path": None} for row in found]


@pytest.mark.slow
def test_a_job_on_a_failing_store_writes_what_one_on_the_disk_writes(
    s3, stored, seven, model, out, patient, tmp_path, capsys
):
    most = ("--max-reject-share", "0.5")
    assert batch(seven, model, tmp_path / "out", *most) == 0
    requests = itertools.count()

    def every_third(method: str, path: str) -> str | None:
        number = next(requests)
        return KINDS[number // 3 % len(KINDS)] if number % 3 == 0 else None

    with s3.meeting(None, every_third):
        assert batch(stored, model, out, *most) == 0
        assert batch(stored, model, out, *most) == 0
    assert {*KINDS} - {"cut-put"} <= {*s3.counts}
    right = rows_of(tmp_path / "out")
    same_rows(without_path(right), without_path(rows(out)))
    assert [row["path"] for row in rows(out)] == [f"{stored}/{row['id']}" for row in right]
    assert place_of(out).names() == ["manifest.parquet", "parts", "rejects", "run.json"]
    capsys.readouterr()
    assert main(["batch", "--status", out]) == 0
    assert "7 of 7 recordings done (2 of 2 parts, 8 rows), 1 rejected" in capsys.readouterr().out
    for merged in (str(tmp_path / "all.parquet"), f"{out}.merged/all.parquet"):
        assert main(["merge", out, "--out", merged]) == 0
        with opened(merged) as file:
            assert pq.read_table(file)["id"].to_pylist() == [row["id"] for row in right]
    assert main(["report", out, "--out", str(tmp_path / "page.html"), "--quiet"]) == 0
    assert "page.html: 6 recordings" in capsys.readouterr().out
    assert batch(stored, model, out, "--attribution") == 1
    assert "columns.attribution: False there, True now" in capsys.readouterr().err


def test_a_recording_that_the_store_does_not_give_is_no_reject(s3, stored, model, out, patient, capsys, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 2)
    with s3.meeting("busy", lambda method, path: path.endswith("a/10.wav")):
        assert batch(stored, model, out) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert f"{stored}/a/10.wav: the store does not answer as it should" in error
    assert place_of(out).names("parts") == place_of(out).names("rejects") == []
    (gone,) = read_recordings([f"{stored}/gone.wav"], 1000, 1, workers=1)
    assert gone.error == "no such file; check the address"


def test_a_part_that_cannot_be_written_is_not_there(s3, out, patient, monkeypatch):
    store = open_store(out, RUN, MANIFEST, {})
    store.commit(0, 3, RESULTS, NONE)
    with monkeypatch.context() as short, s3.meeting("cut-put", lambda method, path: path.endswith(".parquet")):
        short.setattr(remote, "TRIES", 2)
        with pytest.raises(StoreError, match=rf"{out}: writing shard 1 failed .* give the same command again"):
            store.commit(1, 2, RESULTS, NONE)
    assert store.place.names("parts") == ["part-000000.parquet"]
    store.commit(1, 2, RESULTS, NONE)
    assert open_store(out, RUN, MANIFEST, {}) == store
    assert status(store)["shards_done"] == 2


def test_of_two_runs_that_begin_at_once_one_is_refused(s3, out, monkeypatch):
    open_store(out, RUN, MANIFEST, {})
    monkeypatch.setattr(Bucket, "names", lambda *_: [])  # both looked before one wrote
    assert open_store(out, RUN, MANIFEST, {})
    with pytest.raises(StoreError, match="it holds the results of another run"):
        open_store(out, RUN | {"settings": {"keep": 0.1}}, MANIFEST, {})


def test_lists_lie_on_a_store_too(s3, stored, tmp_path):
    (tmp_path / "list.csv").write_text(f"path,label\na/0.wav,yes\n{stored}/b/1.wav,no\n/elsewhere/x.wav,\n")
    shutil.copy(tmp_path / "list.csv", tmp_path / "again.csv")
    manifest = read_manifest(f"{s3.put(tmp_path, 'recordings')}/list.csv")
    assert dict(zip(manifest.paths, manifest.labels, strict=True)) == {
        f"{stored}/a/0.wav": "yes", f"{stored}/b/1.wav": "no", "/elsewhere/x.wav": None,
    }  # fmt: skip
    with pytest.raises(AudexError, match="no such file or folder"):
        read_manifest(f"{stored}/nowhere")


def test_a_large_recording_is_read_in_blocks(s3, tmp_path, monkeypatch):
    import numpy as np
    import soundfile

    samples = (0.1 * np.random.default_rng(0).normal(size=400_000)).astype(np.float32)
    monkeypatch.setattr(remote, "BLOCK", 2**16)
    for suffix in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"x.{suffix}", samples, 16_000)
    address, before = s3.put(tmp_path, "large"), s3.counts["requests"]
    for suffix in ("wav", "flac", "ogg", "mp3"):
        here, there = (
            next(read_recordings([f"{root}/x.{suffix}"], 16_000, 1, workers=1)) for root in (tmp_path, address)
        )
        assert here.error is there.error is None
        np.testing.assert_array_equal(here.samples, there.samples)
    assert s3.counts["requests"] - before > 20


def other(kind: str, module: str, *arguments: object, **attributes: object) -> Exception:
    made = type(kind, (Exception,), {"__module__": module} | attributes)
    return made(*arguments)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (other("NoCredentialsError", "botocore.exceptions", "Unable to locate"), "without credentials.*log in"),
        (other("DefaultCredentialsError", "google.auth.exceptions", "not found"), "without credentials.*log in"),
        (PermissionError("Forbidden"), "access denied"),
        (other("HttpError", "gcsfs.retry", "Anonymous caller", code=401), "access denied"),
        (OSError("Forbidden: bucket"), "access denied"),
        (TimeoutError(), r"after 3 tries \(TimeoutError\); check the network"),
        (other("EndpointConnectionError", "botocore.exceptions", "a\nb"), r"after 3 tries \(a\\nb\)"),
        (OSError(errno.EIO, "Slow Down"), "after 3 tries"),
    ],
)
def test_what_a_store_refuses_is_one_line(error, says, patient, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 3)
    with pytest.raises(StoreError, match=says) as raised:
        remote.attempt("gs://bucket/x", lambda: (_ for _ in ()).throw(error))
    assert str(raised.value).startswith("gs://bucket/x: ")
    assert len(str(raised.value).splitlines()) == 1


def test_our_own_faults_are_not_the_stores():
    with pytest.raises(TypeError):
        remote.attempt("gs://bucket/x", lambda: len(1))


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("s3://no-such-bucket/out", "no such bucket; make it"),
        ("nonsense://x/y", "no address of a store"),
        (f"s3://{BUCKET}/denied/out", "access denied"),
    ],
)
def test_where_nothing_can_be_written_is_one_line(s3, seven, model, out, says, capsys):
    with s3.meeting("denied", lambda method, path: "/denied/" in path):
        assert batch(seven, model, out) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert says in error


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    assert main(["batch", "--status", "s3://bucket/out"]) == 1
    assert "pip install 'audex-jax[cloud]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def five_hundred(s3, many, recordings, model, tmp_path_factory):
    """500 clips on a store, and the rows of a job on the disk that nothing disturbed."""
    undisturbed = tmp_path_factory.mktemp("undisturbed") / "out"
    local = many(500)
    finish(start(local, model, undisturbed))
    address = s3.put(recordings, "many")
    listed = local.read_text().replace(str(recordings), address)
    (tmp_path_factory.mktemp("list") / "list.csv").write_text(listed)
    place_of(f"s3://{BUCKET}").write("list.csv", listed.encode())
    return f"s3://{BUCKET}/list.csv", rows_of(undisturbed)


@pytest.mark.long
def test_a_job_on_a_store_that_is_killed_ten_times_loses_and_doubles_nothing(s3, five_hundred, model, out):
    data, right = five_hundred
    chance, kills, began = random.Random(0), 0, time.monotonic()
    finish(start(data, model, f"{out}-whole"))
    whole = time.monotonic() - began
    place = place_of(out)
    while kills < 10:
        job, done = start(data, model, out), len(place.names("parts"))
        while len(place.names("parts")) < done + chance.randrange(8) and job.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, whole / 50))
        assert job.poll() is None, job.communicate()
        job.kill()
        job.communicate()
        kills += 1
    finish(start(data, model, out))
    same_rows(without_path(right), without_path(rows(out)))


@pytest.mark.long
def test_a_thousand_faults_lose_and_double_nothing(s3, five_hundred, model, out):
    data, right = five_hundred
    before, runs = s3.counts.copy(), 0
    with s3.failing(0.45, most=1000):
        while (job := start(data, model, out)).wait(timeout=600):
            runs += 1
            assert "the store does not answer" in job.communicate()[1]
            assert runs < 10
        job.communicate()
    met = s3.counts - before
    print(dict(met), runs)
    assert sum(met.values()) - met["requests"] >= 700
    same_rows(without_path(right), without_path(rows(out)))
