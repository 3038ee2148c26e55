"""Which clips a job has: any list, any name, always in the same order."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.sealed import sealed
from audex_jax.core.errors import AudexError
from audex_jax.data.listing import DataError


def test_a_folder_is_listed_with_labels_and_odd_names(recordings):
    manifest = read_manifest(recordings)
    assert len(manifest) == 22
    assert list(manifest.ids) == sorted(manifest.ids)
    assert {'b/it\'s a "name"\nin two lines.wav', r"b/caf\xe9.wav"} <= set(manifest.ids)
    assert set(manifest.labels) == {"a", "b"}
    assert all(os.path.exists(path) for path in manifest.paths)


def test_what_is_hidden_or_no_audio_is_left_out(tmp_path):
    for name in ("x.wav", ".hidden.wav", "notes.txt", ".git/y.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert read_manifest(tmp_path).ids == ("x.wav",)
    assert read_manifest(tmp_path).labels == (None,)


def test_text_csv_and_parquet_name_the_same_clips(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"b.wav\r\n\nsub/a.wav\ncaf\xe9.wav\n")
    (tmp_path / "list.csv").write_bytes(b'label,path\nyes,b.wav\n,sub/a.wav\n"n,o",caf\xe9.wav\n')
    paths = pa.array([b"b.wav", b"sub/a.wav", b"caf\xe9.wav"], pa.binary())
    pq.write_table(pa.table({"file": paths, "label": ["yes", None, "n,o"]}), tmp_path / "list.parquet")
    text, csv, parquet = (read_manifest(tmp_path / f"list.{kind}") for kind in ("txt", "csv", "parquet"))
    assert text.ids == csv.ids == parquet.ids == ("b.wav", r"caf\xe9.wav", "sub/a.wav")
    assert text.labels == (None, None, None)
    assert csv.labels == parquet.labels == ("yes", "n,o", None)
    assert os.fsencode(text.paths[1]) == bytes(tmp_path) + b"/caf\xe9.wav"
    assert csv.fingerprint == parquet.fingerprint != text.fingerprint


def test_a_recording_that_is_listed_again_gets_an_id_of_its_own(tmp_path):
    (tmp_path / "list.txt").write_text("a.wav\na.wav\na.wav#2\n")
    manifest = read_manifest(tmp_path / "list.txt")
    assert len(set(manifest.ids)) == 3
    assert manifest.ids[:2] == ("a.wav", "a.wav#2")


def test_the_stored_list_stands_for_the_same_clips(tmp_path, recordings):
    manifest = read_manifest(recordings)
    (tmp_path / "manifest.parquet").write_bytes(sealed(manifest.table()))
    again = read_manifest(tmp_path / "manifest.parquet")
    assert again.fingerprint == manifest.fingerprint
    assert [os.path.realpath(p) for p in again.paths] == [os.path.realpath(p) for p in manifest.paths]


def test_the_order_of_the_list_does_not_matter_and_its_content_does(tmp_path):
    for name, content in (("1", "a\nb\n"), ("2", "b\na\n"), ("3", "a\nc\n")):
        (tmp_path / name).write_text(content)
    one, two, three = (read_manifest(tmp_path / name) for name in "123")
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert one.difference(two) == ""
    assert one.difference(three) == "1 clips more (such as 'c'), 1 clips fewer (such as 'b')"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone", None, "no such file or folder"),
        ("", None, "no audio in this folder"),
        ("list.csv", b"name\na.wav\n", "no column `path`; it has name"),
        ("list.csv", b"path,label\na.wav\n", "row 2 has not the 2 columns"),
        ("list.csv", b"id,path\nx,a.wav\nx,b.wav\n", "'x' is listed more than once"),
        ("list.csv", b'path\n""\n', "without a path"),
        ("list.csv", b"", "no column `path`; it has none"),
        ("list.txt", b"\n", "it lists no clips"),
        ("list.parquet", b"PAR1 nonsense", "not a readable list"),
        ("list.csv", b"id,path\n,a.wav\n", "a row without an id"),
        ("list.txt", b"a\0.wav\n", "NUL characters"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says) as raised:
        read_manifest(tmp_path / name)
    assert name in str(raised.value) or "more than once" in says


def test_labels_in_parquet_are_text_whatever_their_type(tmp_path):
    for labels, found in (([1, 0, None], ("1", "0", None)), ([True, False, True], ("true", "false", "true"))):
        pq.write_table(pa.table({"path": ["a", "b", "c"], "label": labels}), tmp_path / "list.parquet")
        assert read_manifest(tmp_path / "list.parquet").labels == found
    for labels in ([0.5, 1.0, 2.0], [["a"], ["b"], []]):
        pq.write_table(pa.table({"path": ["a", "b", "c"], "label": labels}), tmp_path / "list.parquet")
        with pytest.raises(DataError, match="it has to hold text"):
            read_manifest(tmp_path / "list.parquet")


def test_a_small_table_of_very_many_rows_is_refused(tmp_path):
    pq.write_table(pa.table({"path": pa.array(["a"] * 100_000).dictionary_encode()}), tmp_path / "list.parquet")
    with pytest.raises(DataError, match="100000 rows in"):
        read_manifest(tmp_path / "list.parquet")


def test_pipes_and_devices_are_no_lists(tmp_path):
    os.mkfifo(tmp_path / "list.csv")
    for place in (tmp_path / "list.csv", "/dev/zero"):
        with pytest.raises(AudexError, match="not a regular file but a pipe or a device"):
            read_manifest(place)
