"""Labelled folders: what is found, and how it is split."""

import os
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile

from audex_jax.batch.manifest import read_manifest
from audex_jax.data.folder import read_folder
from audex_jax.data.inputs import list_inputs
from audex_jax.data.listing import DataError


def make(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(80, np.float32), 8_000)


def test_speakers_in_file_names_are_kept_apart(tmp_path):
    make(tmp_path, [f"{label}/{who}_nohash_{i}.wav" for label in ("no", "yes") for who in range(20) for i in (0, 1)])
    folder = read_folder(tmp_path)
    assert folder.labels == ("no", "yes")
    assert "speaker" in folder.split_by
    speakers = {split: {c.speaker for c in folder.split(split)} for split in ("train", "val", "test")}
    assert not (speakers["train"] & speakers["val"] | speakers["train"] & speakers["test"])
    assert [len(speakers[s]) for s in ("train", "val", "test")] == [14, 3, 3]


def test_names_without_speaker_split_by_file_and_say_so(tmp_path):
    make(tmp_path, [f"{label}/{i}.wav" for label in "ab" for i in range(10)])
    folder = read_folder(tmp_path)
    assert folder.split_by == "label and file (the names tell no speaker)"
    assert [len(folder.split(s)) for s in ("train", "val", "test")] == [14, 3, 3]


@pytest.mark.parametrize("counts", [{"a": 3, "b": 30}, {"a": 4, "b": 5, "c": 7}, {"a": 100, "b": 3}])
def test_every_label_is_in_every_split(tmp_path, counts):
    make(tmp_path, [f"{label}/{i}.wav" for label, count in counts.items() for i in range(count)])
    folder = read_folder(tmp_path)
    for split in ("train", "val", "test"):
        found = Counter(clip.label for clip in folder.split(split))
        for label, count in counts.items():
            assert found[label] >= 1
            assert abs(found[label] - count * (0.7 if split == "train" else 0.15)) <= 1.5


@pytest.mark.parametrize("name", ["{who}.wav", "{label}_{who}_3.wav", "{who}-{label}.wav", "{label}_{who}.wav"])
def test_speakers_are_read_from_names_that_labels_share(tmp_path, name):
    voices = [f"en+f{i}" for i in range(10)]
    make(tmp_path, [f"{label}/" + name.format(label=label, who=who) for label in ("no", "yes") for who in voices])
    folder = read_folder(tmp_path)
    assert {clip.speaker for clip in folder.clips} == set(voices)
    assert folder.split_by.startswith("label and speaker, read from the file names (such as en+f")
    by_split = [{clip.speaker for clip in folder.split(split)} for split in ("train", "val", "test")]
    assert not (by_split[0] & by_split[1] | by_split[0] & by_split[2] | by_split[1] & by_split[2])
    assert all({clip.label for clip in folder.split(split)} == {"no", "yes"} for split in ("train", "val", "test"))


def test_names_of_recordings_are_no_speakers(tmp_path):
    make(tmp_path, [f"a/take-{i}x.wav" for i in range(9)] + [f"b/other-{i}x.wav" for i in range(9)])
    assert {clip.speaker for clip in read_folder(tmp_path).clips} == {None}


def test_splits_do_not_depend_on_the_order_of_the_disk(tmp_path):
    names = [f"a/{i}_x_nohash_0.wav" for i in range(9)] + [f"b/{i}_x_nohash_1.wav" for i in range(9)]
    make(tmp_path / "one", names)
    make(tmp_path / "two", reversed(names))
    one, two = ({c.path.name: c.split for c in read_folder(tmp_path / d).clips} for d in ("one", "two"))
    assert one == two


def test_splits_csv_wins(tmp_path):
    make(tmp_path, ["a/1.wav", "b/2.wav"])
    (tmp_path / "splits.csv").write_text("file,label,speaker,split\na/1.wav,x,me,test\nb/2.wav,y,,train\n")
    folder = read_folder(tmp_path)
    assert folder.split_by == "splits.csv"
    assert [(c.label, c.speaker, c.split) for c in folder.clips] == [("x", "me", "test"), ("y", None, "train")]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,label\na/1.wav,x\n", "column split is missing"),
        ("file,label,split\na/1.wav,x,dev\n", "line 2: split is 'dev'"),
        ("file,label,split\na/9.wav,x,test\n", "line 2: a/9.wav is not there"),
        ("file,label,split\na/1.wav,x,train\na/1.wav,x,test\n", "line 3: a/1.wav is listed in line 2, too"),
        ("file,label,split\na/1.wav,x,train\n./a/../a/1.wav,y,train\n", "is listed in line 2, too"),
        ("file,label,split\na/1.wav,,train\n", "line 2: the label is empty"),
        ("file,label,split\na/1.wav, ,train\n", "line 2: the label is empty"),
        ("file,label,split\na,x,train\n", "line 2: a is no recording but a folder"),
        ("file,label,label\na/1.wav,x,test\n", "two columns of its first row have one name"),
        ("file,label,split\na/1.wav,x\n", "row 2 has not the 3 columns"),
        ("file,label,split\n\0,x,train\n", "NUL characters"),
    ],
)
def test_a_broken_table_names_the_line(tmp_path, table, says):
    make(tmp_path, ["a/1.wav"])
    (tmp_path / "splits.csv").write_text(table)
    with pytest.raises(DataError, match=says):
        read_folder(tmp_path)


GOOD = "file,label,split\nä/1.wav,x ,train\nä/2.wav,y,test\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_as_spreadsheets_write_them(tmp_path, encoding, delimiter):
    make(tmp_path, ["ä/1.wav", "ä/2.wav"])
    (tmp_path / "splits.csv").write_bytes(GOOD.replace(",", delimiter).replace("\n", "\r\n").encode(encoding))
    assert [(c.path.name, c.label) for c in read_folder(tmp_path).clips] == [("1.wav", "x"), ("2.wav", "y")]


def test_a_table_in_another_encoding_is_said_to_be_one(tmp_path):
    make(tmp_path, ["ä/1.wav", "ä/2.wav"])
    (tmp_path / "splits.csv").write_bytes(GOOD.encode("cp1252"))
    with pytest.raises(DataError, match="not UTF-8; save the table as UTF-8"):
        read_folder(tmp_path)


def test_links_are_followed_once_and_what_is_left_out_is_counted_and_named(tmp_path, caplog):
    make(tmp_path / "data", [f"{label}/{i}.wav" for label in "ab" for i in range(3)])
    make(tmp_path, [f"elsewhere/{i}.wav" for i in range(3)])
    data = tmp_path / "data"
    (data / "c").symlink_to(tmp_path / "elsewhere")
    (data / "a" / "round").symlink_to(data)
    (data / "b" / "again.wav").symlink_to(data / "a" / "0.wav")
    (data / "a" / "gone.wav").symlink_to("nowhere")
    (data / "a" / "notes.txt").touch()
    os.mkfifo(data / "b" / "pipe.wav")
    folder = read_folder(data)
    assert Counter(clip.label for clip in folder.clips) == {"a": 3, "b": 3, "c": 3}
    for words in ("1 .txt files (such as a/notes.txt)", "1 pipes or devices (such as b/pipe.wav)", "1 links to nothing",
                  "1 links to recordings that are listed", "1 folders that links lead back to"):  # fmt: skip
        assert words in caplog.text
    assert set(read_manifest(data).labels) == {"a", "b", "c"}
    assert len(list_inputs([str(data)])) == len(read_manifest(data)) == 9


def test_names_of_splits_are_no_labels(tmp_path, caplog):
    make(tmp_path, [f"{split}/{label}/{i}.wav" for split in ("train", "Test", "dev") for label in "ab" for i in (0, 1)])
    folder = read_folder(tmp_path)
    assert (folder.labels, folder.split_by) == (("a", "b"), "its folders")
    assert [len(folder.split(split)) for split in ("train", "val", "test")] == [4, 4, 4]
    assert set(read_manifest(tmp_path).labels) == {"a", "b"}
    make(tmp_path, ["train/x.wav"])
    with pytest.raises(DataError, match=r"1 recordings, such as train/x.wav, are in no folder of a label"):
        read_folder(tmp_path)


def test_both_spellings_of_one_letter_are_one_label(tmp_path):
    make(tmp_path, ["caf\u00e9/1.wav", "cafe\u0301/2.wav", "tea/3.wav"])
    assert read_folder(tmp_path).labels == ("caf\u00e9", "tea")


def test_formats_that_need_a_package_are_named_where_it_is_missing(tmp_path, monkeypatch):
    make(tmp_path, ["a/1.wav", "b/1.wav"])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "1.m4a").write_bytes(b"....ftypM4A ")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"1 recordings, such as c/1.m4a, need PyAV: pip install"):
        read_folder(tmp_path)


def test_no_folder_no_audio_and_unknown_labels(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no audio below it"):
        read_folder(tmp_path)
    make(tmp_path, ["a/1.wav", "b/1.wav"])
    with pytest.raises(DataError, match="no clips with label z; there are a, b"):
        read_folder(tmp_path, ("a", "z"))
