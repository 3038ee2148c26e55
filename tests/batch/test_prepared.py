"""Data sets of TensorFlow Datasets: read as they are published, without TensorFlow, and explained like files."""

import json
import pathlib
import subprocess
import sys
import zlib

import numpy as np
import pytest
import soundfile
from array_record.python import array_record_module
from tensorflow_datasets.proto import tf_example_pb2

from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.sealed import sealed
from audex_jax.cli import main
from audex_jax.data.listing import DataError
from audex_jax.data.prepared import list_records, read_record
from audex_jax.io.audio import read_recording

from .conftest import OPTIONS, rows_of

AUDIO = {"shape": {"dimensions": ["-1"]}, "dtype": "int16", "sampleRate": "1000", "encoding": "none"}
FILES = {"shape": {"dimensions": ["-1"]}, "dtype": "int64", "encoding": "none", "lazyDecode": True}
KINDS = {"audio": "audio_feature.Audio", "classLabel": "class_label_feature.ClassLabel", "text": "text_feature.Text"}
LABEL = ("classLabel", {"numClasses": "2"})


def write(folder: pathlib.Path, splits: dict[str, list], features: dict, file_format: str = "array_record") -> None:
    """A prepared data set as TFDS lays it out; an example is a dict of bytes, integers and arrays."""
    folder.mkdir(parents=True)
    prefix = "tensorflow_datasets.core.features."
    described = {name: {"pythonClassName": prefix + KINDS[kind], kind: told} for name, (kind, told) in features.items()}
    tree = {"pythonClassName": prefix + "features_dict.FeaturesDict", "featuresDict": {"features": described}}
    (folder / "features.json").write_text(json.dumps(tree))
    (folder / "label.labels.txt").write_text("no\nyes\n")
    info = {"name": "words", "version": folder.name, "fileFormat": file_format, "splits": []}
    for split, examples in splits.items():
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        halves = [examples[: len(examples) // 2], examples[len(examples) // 2 :]]
        info["splits"].append(
            {"name": split, "shardLengths": [str(len(half)) for half in halves], "filepathTemplate": template}
        )
        for number, half in enumerate(halves):
            path = folder / f"words-{split}.{file_format}-{number:05d}-of-00002"
            writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
            for example in half:
                proto = tf_example_pb2.Example()
                for name, value in example.items():
                    if isinstance(value, bytes):
                        proto.features.feature[name].bytes_list.value.append(value)
                    else:
                        proto.features.feature[name].int64_list.value.extend(np.atleast_1d(value).tolist())
                writer.write(proto.SerializeToString())
            writer.close()
    (folder / "dataset_info.json").write_text(json.dumps(info))


@pytest.fixture
def sounds(rng) -> list[np.ndarray]:
    return [(3000 * rng.normal(size=n)).astype(np.int16) for n in (1000, 400, 777, 250, 50)]


@pytest.fixture
def home(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


@pytest.fixture
def words(home, sounds) -> pathlib.Path:
    """Samples as `speech_commands` has them, in two versions."""
    examples = [{"audio": sound, "label": i % 2} for i, sound in enumerate(sounds)]
    features = {"audio": ("audio", AUDIO), "label": LABEL}
    write(home / "words" / "0.9.0", {"test": examples[:2]}, features)
    write(home / "words" / "0.10.0", {"train": examples[:2], "test": examples}, features)
    return home / "words"


def test_records_are_the_samples_that_were_stored(words, sounds):
    ids, addresses = list_records("tfds:words:test")
    assert ids == [f"words/0.10.0:test#{i}" for i in range(5)]
    for i, (address, sound) in enumerate(zip(addresses[:4], sounds, strict=False)):
        record = read_record(address, 1000)
        np.testing.assert_array_equal(record.samples, sound / np.float32(32768))
        assert record.known == {"label": ("no", "yes")[i % 2]}
    assert read_record(addresses[0], 2000, 2).samples.shape == (2000, 2)
    short = read_record(addresses[4], 1000)
    assert short.samples is None
    assert short.error.startswith("only 50 ms long")


def test_samples_are_read_compressed_and_of_another_type(home, sounds):
    kinds = {"encoding": "ZLIB"}, {"dtype": "int64"}
    for kind, pack in zip(kinds, (lambda sound: zlib.compress(sound.tobytes()), np.int64), strict=True):
        examples = [{"audio": pack(sound)} for sound in sounds[:2]]
        write(home / min(kind) / "1.0.0", {"test": examples}, {"audio": ("audio", AUDIO | kind)})
        for address, sound in zip(list_records(f"tfds:{min(kind)}")[1], sounds, strict=False):
            np.testing.assert_array_equal(read_record(address, 1000).samples, sound / np.float32(32768))


def test_splits_are_named_as_tfds_names_them(words):
    assert len(list_records("tfds:words")[0]) == 7
    assert len(list_records("tfds:words:test[:60%]+train")[0]) == 5
    assert list_records(f"tfds:{words}/0.9.0:test[1:]")[0] == ["words/0.9.0:test[1:]#0"]


def test_stored_files_are_decoded_at_their_own_rate(home, rng, tmp_path):
    examples, sound = [], (0.1 * rng.normal(size=(800, 2))).astype(np.float32)
    for rate, suffix in ((1000, "flac"), (500, "wav")):
        soundfile.write(tmp_path / f"x.{suffix}", sound, rate)
        audio = (tmp_path / f"x.{suffix}").read_bytes()
        examples.append({"audio": audio, "label": -1, "file": f"a/x.{suffix}".encode()})
    examples.append({"audio": b"not audio", "label": 1, "file": b"caf\xe9.wav"})
    features = {"audio": ("audio", FILES), "label": LABEL, "file": ("text", {})}
    write(home / "files" / "config" / "1.0.0", {"train": examples}, features)
    flac, wav, broken = (read_record(address, 1000) for address in list_records("tfds:files/config")[1])
    for record, suffix in ((flac, "flac"), (wav, "wav")):
        np.testing.assert_array_equal(record.samples, read_recording(tmp_path / f"x.{suffix}", 1000))
        assert record.known == {"path": f"a/x.{suffix}"}
    assert broken.samples is None
    assert broken.known == {"label": "yes", "path": "caf\\xe9.wav"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("tfds:", "give tfds:NAME"),
        ("tfds:nothing", "no such data set"),
        ("tfds:words:dev", "no split 'dev'.*it has train, test"),
        ("tfds:old", "prepared as tfrecord"),
        ("tfds:half", "no prepared version in it; it holds incomplete"),
        ("tfds:silent", "0 audio features"),
        ("tfds:rateless", "at no rate"),
    ],
)
def test_a_data_set_that_cannot_be_used_is_named(home, words, sounds, data, says):
    examples = [{"audio": sounds[0]}] * 2
    write(home / "old" / "1.0.0", {"train": examples}, {"audio": ("audio", AUDIO)}, "tfrecord")
    write(home / "silent" / "1.0.0", {"train": examples}, {"label": LABEL})
    write(home / "rateless" / "1.0.0", {"train": examples}, {"audio": ("audio", AUDIO | {"sampleRate": "0"})})
    (home / "half" / "incomplete").mkdir(parents=True)
    with pytest.raises(DataError, match=says):
        read_manifest(data)


def test_a_job_over_a_data_set(words, model, tmp_path):
    options = ("--model", model, *OPTIONS, "--max-reject-share", "1")
    assert main(["batch", "tfds:words:test", "--out", str(tmp_path / "out"), *options]) == 0
    rows = rows_of(tmp_path / "out")
    assert [(row["id"], row["label"]) for row in rows] == [
        (f"words/0.10.0:test#{i}", ("no", "yes")[i % 2]) for i in range(4)
    ]
    assert [row["end_seconds"] for row in rows] == [1.0, 0.4, 0.777, 0.25]
    assert len(list((tmp_path / "out").glob("rejects/*"))) == 1
    (tmp_path / "list.parquet").write_bytes(sealed(read_manifest("tfds:words:test").table()))
    assert read_manifest(tmp_path / "list.parquet").paths == read_manifest("tfds:words:test").paths


def test_reading_loads_no_tensorflow(words):
    code = (
        "import sys\n"
        "from audex_jax.data.prepared import list_records, read_record\n"
        "assert read_record(list_records('tfds:words')[1][0], 1000).samples is not None\n"
        "print(sorted({'tensorflow', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
