"""Lists of recordings, and tables of labelled folders: each is read without loss and contradiction, or refused."""

import os
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch.manifest import read_manifest
from audex_jax.data.folder import read_folder

from .conftest import damaged

pytestmark = pytest.mark.attack
COUNT = 20  # mutants a test
NAMES = [f"{label}/{i}.wav" for label in ("yes", "no") for i in range(5)]
SPLITS = ["train", "train", "train", "val", "test"] * 2
TABLE = "file,label,speaker,split\n" + "".join(
    f"{name},{name.split('/')[0]},s{i},{split}\n" for i, (name, split) in enumerate(zip(NAMES, SPLITS, strict=True))
)
CELLS = (
    "", " ", "yes", "no", "train", "test", '"', '"a\nb"', "a,b", ";", "\t", "\x00", "../yes/0.wav", "/dev/zero",
    "pipe.wav", "caf\u00e9", "cafe\u0301", "\x1b[2J", "x" * 140_000, "yes/0.wav", "#2", "no/../yes/1.wav",
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")


def other_table(rng: np.random.Generator) -> bytes:
    """The table with another cell, row, column, delimiter or encoding."""
    rows = [line.split(",") for line in TABLE.splitlines()]
    for _ in range(int(rng.integers(1, 3))):
        row, column = int(rng.integers(len(rows))), int(rng.integers(4))
        kind = rng.integers(5)
        if kind < 3:
            rows[row][column % len(rows[row])] = CELLS[int(rng.integers(len(CELLS)))]
        elif kind == 3:
            rows.append(list(rows[row]))
        else:
            rows[row].pop()
        rows = [row for row in rows if row]
    text = "\n".join(str(rng.choice([",", ",", ";", "\t"])) .join(row) if rng.random() < 0.1 else ",".join(row)
                     for row in rows) + "\n"  # fmt: skip
    if rng.random() < 0.3:
        text = text.replace(",", ";")
    return text.encode(ENCODINGS[int(rng.integers(len(ENCODINGS)))], "replace")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    for name in NAMES:
        (root / name).parent.mkdir(exist_ok=True)
        soundfile.write(root / name, np.zeros(80, np.float32), 8_000)
    os.mkfifo(root / "pipe.wav")
    return root


@pytest.mark.parametrize("seed", range(6))
def test_tables_of_folders(folder, attack, seed):
    rng = np.random.default_rng(seed)
    for number in range(COUNT):
        (folder / "splits.csv").write_bytes(other_table(rng) if number % 4 else damaged(TABLE.encode(), rng))
        found = attack(lambda: read_folder(folder))
        if found is not None:
            assert len({os.path.realpath(clip.path) for clip in found.clips}) == len(found.clips)
            assert all(clip.path.is_file() and clip.split in ("train", "val", "test") for clip in found.clips)
            assert all(label and label == unicodedata.normalize("NFC", label.strip()) for label in found.labels)
            assert found.split("train")


@pytest.mark.parametrize("suffix", ["csv", "txt", "tsv"])
@pytest.mark.parametrize("seed", range(3))
def test_lists_of_batches(tmp_path, attack, suffix, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / f"list.{suffix}"
    for _ in range(COUNT):
        path.write_bytes(damaged(other_table(rng).replace(b"speaker", b"id"), rng))
        found = attack(lambda: read_manifest(path))
        if found is not None:
            assert len(found) == len(set(found.ids)) > 0
            assert all(found.paths)
            assert all(label is None or label == label.strip() != "" for label in found.labels)


@pytest.mark.parametrize("seed", range(3))
def test_lists_in_parquet(tmp_path, attack, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "list.parquet"
    table = pa.table({"path": NAMES, "id": [f"i{i}" for i in range(10)], "label": ["yes"] * 5 + ["no"] * 5})
    values = (1.5, [1], None, b"\xff", "a", True, {"a": 1}, 2**62)
    for number in range(COUNT):
        pq.write_table(table, path)
        if number % 2:
            column = pa.array([values[int(rng.integers(len(values)))]] * 10)
            pq.write_table(table.set_column(int(rng.integers(3)), str(rng.choice(table.column_names)), column), path)
        else:
            path.write_bytes(damaged(path.read_bytes(), rng))
        found = attack(lambda: read_manifest(path))
        if found is not None:
            assert len(found) == len(set(found.ids)) > 0
