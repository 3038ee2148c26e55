"""Recordings inside Parquet and tar files: each has an id, a label, and the samples that its file has."""

import io
import json
import os
import pathlib
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch.manifest import Manifest, read_manifest
from audex_jax.batch.read import read_recordings
from audex_jax.batch.sealed import sealed
from audex_jax.data import embedded
from audex_jax.data.listing import DataError

from .conftest import batch, rows_of

SOUNDS = [(0.1 * np.random.default_rng(i).normal(size=400 + i)).astype(np.float32) for i in range(7)]


def wav(samples: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 1000, format="WAV", subtype="FLOAT")
    return file.getvalue()


def read(manifest: Manifest) -> list:
    return list(read_recordings(manifest.paths, 1000, 1, workers=2))


def table(path: os.PathLike, sounds: list, metadata: dict | None = None, **columns: list) -> None:
    audio = pa.array([None if s is None else {"bytes": wav(s), "path": f"{i}.wav"} for i, s in enumerate(sounds)],
                     pa.struct([("bytes", pa.binary()), ("path", pa.string())]))  # fmt: skip
    made = pa.table({"audio": audio} | columns)
    about = {b"huggingface": json.dumps(metadata).encode()} if metadata else None
    pq.write_table(made.replace_schema_metadata(about), path, row_group_size=2)


def test_parquet_with_recordings_inside(tmp_path):
    names = {"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}
    table(tmp_path / "train-0.parquet", SOUNDS[:5], names, label=[0, 1, -1, None, 1])
    table(tmp_path / "train-1.parquet", [SOUNDS[5], None, SOUNDS[6]], label=["up", " ", None])
    manifest = read_manifest(tmp_path)
    assert manifest.ids == tuple(f"train-{n}.parquet#{i}" for n, count in ((0, 5), (1, 3)) for i in range(count))
    assert manifest.labels == ("no", "yes", None, None, "yes", "up", None, None)
    found = read(manifest)
    assert [r.error is None for r in found] == [True] * 6 + [False, True]
    assert "holds no bytes" in found[6].error
    for recording, samples in zip(found[:6] + found[7:], SOUNDS, strict=True):
        np.testing.assert_array_equal(recording.samples, samples)
    assert found[0].known == {"path": "0.wav"}
    assert read_manifest(tmp_path / "train-1.parquet").ids == manifest.ids[5:]
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "again.parquet").write_bytes(sealed(manifest.table()))  # a list of records
    again = read_manifest(tmp_path / "list" / "again.parquet")
    assert again == manifest


def test_groups_of_rows_that_do_not_fit_are_told_before(tmp_path, monkeypatch):
    table(tmp_path / "x.parquet", SOUNDS)
    monkeypatch.setattr(embedded, "MOST_GROUP", 3000)
    with pytest.raises(DataError, match=r"x.parquet: row groups of up to 0 MiB.*row_group_size=100"):
        read_manifest(tmp_path / "x.parquet")


def pack(path: os.PathLike, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_tars_of_webdataset(tmp_path):
    members = {"a.wav": wav(SOUNDS[0]), "a.cls": b"3\n", "sub/b.WAV": wav(SOUNDS[1]), "sub/b.json": b'{"label": "yes"}'}
    members |= {"c.txt": b" no ", "c.wav": wav(SOUNDS[2]), f"{'long' * 60}.wav": wav(SOUNDS[3])}
    pack(tmp_path / "0.tar", members)
    pack(tmp_path / "1.tar", {"a.wav": b"no audio", "a.json": b"[1", "b.flac": b"", "notes.md": b"x", "b.txt": b"1\n2"})
    manifest = read_manifest(tmp_path)
    names = ["0.tar/a.wav", "0.tar/c.wav", f"0.tar/{'long' * 60}.wav", "0.tar/sub/b.WAV", "1.tar/a.wav", "1.tar/b.flac"]
    assert dict(zip(manifest.ids, manifest.labels, strict=True)) == dict(
        zip(names, ["3", "no", None, "yes", None, None], strict=True)
    )
    found = read(manifest)
    for recording, number in zip(found, (0, 2, 3, 1), strict=False):
        np.testing.assert_array_equal(recording.samples, SOUNDS[number])
        assert recording.known["path"] == names[recording.index].removeprefix("0.tar/")
    assert [recording.error.split(";")[0].split(" (")[0] for recording in found[4:]] == [
        "not readable as audio", "the file is empty",
    ]  # fmt: skip
    pack(tmp_path / "0.tar", {"other.wav": wav(SOUNDS[0])})
    assert "another than when it was listed" in read(manifest)[1].error


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"nonsense" * 100, "not a readable tar file"),
        (b"\x1f\x8b" + b"0" * 600, "uncompressed"),
        (None, "not a readable tar file"),
        (b"\0" * 10240, "no recordings in it"),
    ],
)
def test_tars_that_cannot_be_used_are_named(tmp_path, content, says):
    path = tmp_path / "x.tar"
    pack(path, {"a.wav": wav(SOUNDS[0])})
    path.write_bytes(path.read_bytes()[:1500] if content is None else content)
    with pytest.raises(DataError, match=rf"x.tar: .*{says}"):
        read_manifest(path)


def test_recordings_come_before_what_else_lies_there(tmp_path):
    pack(tmp_path / "x.tar", {"a.wav": wav(SOUNDS[0])})
    (tmp_path / "y.wav").write_bytes(wav(SOUNDS[1]))
    assert read_manifest(tmp_path).ids == ("y.wav",)


def test_a_job_over_records_goes_on_where_it_was_and_its_sounds_are_records_of_another(tmp_path, model):
    table(tmp_path / "x.parquet", SOUNDS, label=list("aabbaab"))
    out = tmp_path / "out"
    assert batch(tmp_path / "x.parquet", model, out) == 0
    right = rows_of(out)
    pathlib.Path(out / "parts" / "part-000001.parquet").unlink()
    assert batch(tmp_path / "x.parquet", model, out) == 0
    assert [row["id"] for row in right] == [f"x.parquet#{i}" for i in range(7)]
    assert [row["label"] for row in right] == list("aabbaab")
    assert [row["path"] for row in right] == [f"{i}.wav" for i in range(7)]
    assert [row["samples_sha256"] for row in rows_of(out)] == [row["samples_sha256"] for row in right]
    sounds = read(read_manifest(out / "parts"))
    for recording, row in zip(sounds, right, strict=True):
        np.testing.assert_array_equal(recording.samples, soundfile.read(io.BytesIO(row["audio"]["bytes"]))[0])
