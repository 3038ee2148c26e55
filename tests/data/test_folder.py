"""Labelled folders: what is found, and how it is split."""

import numpy as np
import pytest
import soundfile

from audex_jax.data.folder import DataError, read_folder


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
    assert folder.split_by == "file (the names tell no speaker)"
    assert [len(folder.split(s)) for s in ("train", "val", "test")] == [14, 3, 3]


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
    ],
)
def test_a_broken_table_names_the_line(tmp_path, table, says):
    make(tmp_path, ["a/1.wav"])
    (tmp_path / "splits.csv").write_text(table)
    with pytest.raises(DataError, match=says):
        read_folder(tmp_path)


def test_no_folder_no_audio_and_unknown_labels(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no audio below it"):
        read_folder(tmp_path)
    make(tmp_path, ["a/1.wav", "b/1.wav"])
    with pytest.raises(DataError, match="no clips with label z; there are a, b"):
        read_folder(tmp_path, ("a", "z"))
