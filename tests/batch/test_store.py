"""The folder of results: complete or not there, whatever happens."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audex_jax.batch.manifest import Manifest
from audex_jax.batch.merge import merge, status
from audex_jax.batch.schema import REJECTS, result_schema
from audex_jax.batch.store import Store, StoreError, load_store, open_store

NAMES = tuple(f"{i}.wav" for i in range(5))
MANIFEST = Manifest(NAMES, NAMES, (None,) * 5)
RUN = {"settings": {"keep": 0.2}, "shard_clips": 3, "manifest": {"clips": 5, "sha256": MANIFEST.fingerprint}}
NONE = pa.Table.from_pylist([], REJECTS)
RESULTS = pa.table({"id": ["0.wav", "1.wav"]})


def files(root) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "out", RUN, MANIFEST, {"model": "x"})


def test_a_shard_is_done_when_its_part_is_there(store):
    assert store.shards == 2
    assert status(store)["shards_done"] == 0
    rejects = pa.Table.from_pylist([{"id": "2.wav", "path": "2.wav", "label": None, "reason": "gone"}], REJECTS)
    store.commit(0, 3, RESULTS, rejects)
    assert store.counts(0) == {"clips": 3, "rows": 2, "rejects": 1}
    assert status(load_store(store.place.root)) == {
        "shards": 2, "shards_done": 1, "clips": 5, "clips_done": 3, "rows": 2, "rejects": 1,
    }  # fmt: skip
    store.commit(0, 3, RESULTS, NONE)
    assert files(store.place.root) == {"run.json", "manifest.parquet", "parts/part-000000.parquet"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_shard_as_it_was(store, monkeypatch, call):
    store.commit(0, 3, RESULTS, NONE)
    before = store.place.read(store.part(0))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    for shard in (0, 1):
        with pytest.raises(StoreError, match=r"No space left on device.*give the same command again"):
            store.commit(shard, 3, pa.table({"id": ["other"]}), NONE)
    assert store.place.read(store.part(0)) == before
    assert files(store.place.root) == {"run.json", "manifest.parquet", "parts/part-000000.parquet"}


def test_an_equal_run_goes_on_and_another_is_refused_with_the_difference(store):
    assert open_store(store.place.root, RUN, MANIFEST, {"model": "elsewhere"}) == store
    other = Manifest(NAMES[1:], NAMES[1:], (None,) * 4)
    run = RUN | {"settings": {"keep": 0.1}, "manifest": {"clips": 4, "sha256": other.fingerprint}}
    before = (store.place.root / "run.json").read_bytes()
    with pytest.raises(StoreError) as raised:
        open_store(store.place.root, run, other, {})
    for says in ("settings.keep: 0.2 there, 0.1 now", "1 clips fewer (such as '0.wav')", "manifest.parquet"):
        assert says in str(raised.value)
    assert (store.place.root / "run.json").read_bytes() == before


def test_a_folder_with_other_things_and_what_cannot_be_a_folder_are_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    for out, says in (
        (tmp_path, r"other things \(thesis.tex\)"),
        (tmp_path / "thesis.tex" / "x", "cannot write there"),
    ):
        with pytest.raises(StoreError, match=says):
            open_store(out, RUN, MANIFEST, {})
    assert files(tmp_path) == {"thesis.tex"}


def test_results_that_cannot_be_written_are_named(store):
    shutil.rmtree(store.place.root / "parts")
    (store.place.root / "parts").touch()
    with pytest.raises(StoreError, match=r"writing shard 0 failed \(Not a directory\)"):
        store.commit(0, 3, RESULTS, NONE)
    shutil.rmtree(store.place.root)
    store.place.root.touch()
    with pytest.raises(StoreError, match=r"cannot write there \(Not a directory\)"), store.held(0, 1):
        pass


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": "audex-batch", "version": 0}'])
def test_a_run_that_cannot_be_read_is_named(store, content):
    (store.place.root / "run.json").unlink() if content is None else (store.place.root / "run.json").write_text(content)
    with pytest.raises(StoreError, match=r"no run.json" if content is None else r"run.json|another version"):
        load_store(store.place.root)


HOLDER = """
import pathlib, sys
from audex_jax.batch.store import Store
from audex_jax.io.atomic import replacing
from audex_jax.io.places import place_of
root = pathlib.Path(sys.argv[1])
with Store(place_of(root), {}).held(0, 1), replacing(root / "parts" / "part-000001.parquet"):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_share_is_held_by_one_process_and_its_file_is_not_swept(store):
    command = [sys.executable, "-c", HOLDER, str(store.place.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(StoreError, match=rf"process {other.pid} on .* is at work"), store.held(0, 1):
            pass
        with store.held(1, 2):
            store.sweep()
        assert len(list(store.place.root.glob("parts/.*.audex-tmp"))) == 1
        other.kill()  # its lock goes with it, its file stays
    assert len(list(store.place.root.glob("parts/.*.audex-tmp"))) == 1
    with store.held(0, 1):
        store.sweep()
    assert files(store.place.root) == {"run.json", "manifest.parquet"}


def test_parts_are_merged_in_order_once_all_are_there(store, tmp_path):
    schema = result_schema(1000, elements=0, audio=False)
    part = pa.Table.from_pylist([{"id": "4.wav", "segment": 0}], schema)
    store.commit(1, 2, part, NONE)
    with pytest.raises(StoreError, match="1 of 2 shards are not done"):
        merge(store, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()
    store.commit(
        0, 3, pa.Table.from_pylist([{"id": "0.wav", "segment": 0}, {"id": "1.wav", "segment": 0}], schema), NONE
    )
    assert merge(store, tmp_path / "all.parquet") == 3
    merged = pq.read_table(tmp_path / "all.parquet")
    assert merged["id"].to_pylist() == ["0.wav", "1.wav", "4.wav"]
    assert "features" in json.loads(merged.schema.metadata[b"huggingface"])["info"]
    with pytest.raises(StoreError, match="cannot write there"):
        merge(store, tmp_path / "nowhere" / "all.parquet")


@pytest.fixture
def done(store) -> Store:
    """Both shards, with a reject."""
    schema = result_schema(1000, elements=0, audio=False)
    rejects = pa.Table.from_pylist([{"id": "2.wav", "path": "2.wav", "label": None, "reason": "gone"}], REJECTS)
    for shard, names in enumerate((NAMES[:2], NAMES[3:])):
        rows = [{"id": name, "path": name, "segment": 0, "prediction": "yes"} for name in names]
        store.commit(shard, 3 - shard, pa.Table.from_pylist(rows, schema), NONE if shard else rejects)
    return store


def test_no_changed_bit_of_a_finished_part_goes_unnoticed(done, rng):
    for path in (done.place.root / name for name in (done.part(0), done.rejects(0))):
        whole = path.read_bytes()
        for at in rng.integers(8 * len(whole), size=500):
            data = bytearray(whole)
            data[at // 8] ^= 1 << at % 8
            path.write_bytes(data)
            assert done.counts(0) is None
        path.write_bytes(whole[:-1])
        assert done.counts(0) is None
        path.write_bytes(whole)
        assert done.counts(0)
    assert open_store(done.place.root, RUN, MANIFEST, {}) == done


def test_a_part_that_is_the_copy_of_another_does_not_count(done, tmp_path):
    shutil.copy(done.place.address(done.part(1)), done.place.address(done.part(0)))
    assert done.counts(0) is None
    with pytest.raises(StoreError, match=r"1 of 2 shards are not done, or damaged \(such as parts/part-0+.parquet\)"):
        merge(done, tmp_path / "all.parquet")


def test_a_row_that_stands_twice_is_not_merged(done, tmp_path):
    schema = result_schema(1000, elements=0, audio=False)
    done.commit(1, 2, pa.Table.from_pylist([{"id": "1.wav", "segment": 0}], schema), NONE)
    with pytest.raises(StoreError, match="stands twice"):
        merge(done, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_results_of_another_run_in_the_same_folder_are_named(done):
    (done.place.root / "run.json").unlink()
    assert open_store(done.place.root, RUN, MANIFEST, {}) == done
    (done.place.root / "run.json").unlink()
    with pytest.raises(StoreError, match=r"not of this run \(parts/part-000000.parquet; parts/part-000001.parquet"):
        open_store(done.place.root, RUN | {"settings": {"keep": 0.5}}, MANIFEST, {})


def test_other_programs_read_a_part_as_it_is(done):
    assert pq.read_table(done.place.address(done.part(0)), page_checksum_verification=True)["id"].to_pylist() == list(
        NAMES[:2]
    )
