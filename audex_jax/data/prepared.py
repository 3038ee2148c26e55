"""Recordings in data sets that TensorFlow Datasets (TFDS) prepared as ArrayRecord, read without TensorFlow.

    tfds:NAME[/CONFIG][:SPLIT]   a data set below `$TFDS_DATA_DIR`, or, with a path as NAME, anywhere
    tfds:FOLDER:SPLIT#INDEX      one recording of it, as `list_records` writes it

SPLIT is all that TFDS takes, such as `test`, `train[:10%]` or `train+test`. Without one all splits are meant.

A data set is read through TFDS's splits and features, but for its `Audio` feature, which cannot be made without
TensorFlow: here it is the tensor, or the file, that it is stored as.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
from typing import Any

import numpy as np

from audex_jax.core.errors import shown
from audex_jax.data.listing import DataError
from audex_jax.data.record import Record
from audex_jax.io.audio import AudioError, conform, decode_audio, of_length

PREFIX, FORMAT = "tfds:", "array_record"
NAMED = re.compile(r"tfds:(?P<name>(?:.*/)?[^/:]+)(?::(?P<split>[^/#]+))?(?:#(?P<index>\d+))?", re.DOTALL)
VERSION = re.compile(r"\d+\.\d+\.\d+")
# What full scale is stored as. 64 bits are what TFDS calls samples of 16 where a data set names no other type.
FULL_SCALE = {"int8": 2**7, "int16": 2**15, "int32": 2**31, "int64": 2**15, "float32": 1, "float64": 1}


@dataclasses.dataclass(frozen=True)
class PreparedSplit:
    """One split of a data set.

    Attributes:
        records: serialised, at random access.
        features: that a record holds; a TFDS `FeaturesDict`.
        audio, label, file: names of the features in question; None for what it has not.
        dtype, sample_rate: of the samples; dtype is `string` where whole files are stored, which know their rate.
    """

    records: Any
    features: Any
    audio: str
    label: str | None
    file: str | None
    dtype: str
    sample_rate: int

    def __len__(self) -> int:
        return len(self.records)

    def read(self, index: int, sample_rate: int, channels: int = 1) -> Record:
        """One recording at the rate and with the channels asked for."""
        example, known = self.features.deserialize_example_np(self.records[index]), {}
        if self.label and example[self.label] >= 0:
            known["label"] = self.features[self.label].int2str(int(example[self.label]))
        if self.file:
            known["path"] = example[self.file].decode("utf-8", "backslashreplace")
        name = known.get("path", f"record {index}")
        try:
            if self.dtype == "string":
                samples = decode_audio(bytes(example[self.audio]), sample_rate, channels, name)
            else:
                samples = conform(self._stored(example[self.audio]), self.sample_rate, sample_rate, channels, name)
            return Record(of_length(samples, sample_rate, name), None, known)
        except AudioError as error:
            return Record(None, str(error).removeprefix(f"{shown(name)}: "), known)

    def _stored(self, audio: Any) -> np.ndarray:
        """Samples, full scale 1."""
        samples = np.asarray(audio, np.float32) / FULL_SCALE[self.dtype]
        if self.dtype == "int64" and np.abs(samples).max(initial=0) > 1:
            raise AudioError("samples of more than 16 bits in 64; prepare the data set with their own type")
        return samples


def list_records(data: str) -> tuple[list[str], list[str]]:
    """Ids and addresses of all recordings of `tfds:NAME[/CONFIG][:SPLIT]`.

    Raises:
        DataError: no such data set, split or config, or one that cannot be read here; says what to do.
    """
    named = NAMED.fullmatch(data)
    if named is None or named["index"]:
        raise DataError(f"{data}: give tfds:NAME, tfds:NAME/CONFIG or either with :SPLIT")
    folder = version_folder(named["name"])
    info, splits = _described(folder)
    title = "/".join(part for part in (info.name, info.config_name, info.version) if part)
    ids, addresses = [], []
    for split in [named["split"]] if named["split"] else [name for name in splits if splits[name].num_examples]:
        count = len(open_split(folder, split))
        ids += [f"{title}:{split}#{index:0{len(str(count))}}" for index in range(count)]
        addresses += [f"{PREFIX}{folder}:{split}#{index}" for index in range(count)]
    return ids, addresses


def read_record(address: str, sample_rate: int, channels: int = 1) -> Record:
    """The recording at an address that `list_records` gave."""
    named = NAMED.fullmatch(address)
    if named is None or not named["index"]:
        raise DataError(f"{address}: no record of a prepared data set")
    return open_split(named["name"], named["split"]).read(int(named["index"]), sample_rate, channels)


def data_home() -> pathlib.Path:
    """Where data sets are kept, as TFDS has it."""
    return pathlib.Path(os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")).absolute()


def version_folder(name: str) -> pathlib.Path:
    """Folder of the newest version of a data set `NAME[/CONFIG]`; NAME may be a path.

    Raises:
        DataError: there is none.
    """
    folder = data_home() / os.path.expanduser(name)
    if (folder / "dataset_info.json").exists():
        return folder
    if not folder.is_dir():
        raise DataError(f"{folder}: no such data set; `audex prepare --help` says how to make one")
    inside = sorted(path.name for path in folder.iterdir() if path.is_dir())
    versions = [version for version in inside if VERSION.fullmatch(version)]
    if versions:
        return folder / max(versions, key=lambda version: [int(number) for number in version.split(".")])
    raise DataError(f"{folder}: no prepared version in it; it holds {', '.join(inside) or 'nothing'}")


def open_split(folder: str | os.PathLike, split: str) -> PreparedSplit:
    """A split of the data set in a version's folder; opened once in a process, unless it is prepared again.

    Raises:
        DataError: there is no such split, or it cannot be read here; says what to do.
    """
    try:
        written = os.stat(os.path.join(folder, "dataset_info.json")).st_mtime_ns
    except OSError as error:
        raise DataError(f"{folder}: not a prepared data set ({error.strerror}); prepare it again") from None
    return _opened(os.fspath(folder), split, written)


@functools.lru_cache(maxsize=16)
def _opened(folder: str, split: str, written: int) -> PreparedSplit:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    info, splits = _described(pathlib.Path(folder))
    try:
        files = splits[split].file_instructions
    except (ValueError, KeyError, AssertionError) as error:
        raise DataError(f"{folder}: no split {split!r} ({error}); it has {', '.join(splits)}") from None
    if FORMAT not in (info.file_format, *info.alternative_file_formats):
        raise DataError(
            f"{folder}: prepared as {info.file_format or 'tfrecord'}, which needs TensorFlow; prepare it again with "
            f"--file_format={FORMAT}"
        )
    if not files:
        raise DataError(f"{folder}: nothing in split {split!r}")
    return PreparedSplit(ArrayRecordDataSource(files), **_features(pathlib.Path(folder)))


def _described(folder: pathlib.Path) -> tuple[Any, Any]:
    """What `dataset_info.json` says, and the splits as TFDS understands them."""
    import tensorflow_datasets as tfds
    from google.protobuf import json_format
    from tensorflow_datasets.core.proto import dataset_info_pb2

    try:
        content = (folder / "dataset_info.json").read_text(encoding="utf-8")
        message = dataset_info_pb2.DatasetInfo()  # pyright: ignore[reportAttributeAccessIssue]
        info: Any = json_format.Parse(content, message, ignore_unknown_fields=True)
    except (OSError, json_format.ParseError) as error:
        raise DataError(f"{folder}: not a prepared data set ({error}); prepare it again") from None
    template = tfds.core.ShardedFileTemplate(
        data_dir=tfds.core.Path(folder), dataset_name=info.name, filetype_suffix=FORMAT
    )
    return info, tfds.core.SplitDict.from_proto(repeated_split_infos=info.splits, filename_template=template)


def _features(folder: pathlib.Path) -> dict:
    """The fields of a `PreparedSplit` but for its records."""
    import tensorflow_datasets as tfds
    from google.protobuf import json_format
    from tensorflow_datasets.core.proto import feature_pb2

    try:
        content = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        message = feature_pb2.Feature()  # pyright: ignore[reportAttributeAccessIssue]
        stored: Any = json_format.ParseDict(content, message, ignore_unknown_fields=True)
    except (OSError, ValueError, json_format.ParseError) as error:
        raise DataError(f"{folder}: its features cannot be read ({error}); prepare it again") from None
    kinds = {name: feature.WhichOneof("content") for name, feature in stored.features_dict.features.items()}
    sounds = [name for name, kind in kinds.items() if kind == "audio"]
    if len(sounds) != 1:
        raise DataError(f"{folder}: {len(sounds)} audio features, {', '.join(kinds)}; expected one")
    (audio,) = sounds
    told = stored.features_dict.features[audio].audio
    dtype = "string" if told.lazy_decode else told.dtype
    if dtype != "string" and (dtype not in FULL_SCALE or not told.sample_rate):
        rate = told.sample_rate or "no rate"
        raise DataError(f"{folder}: samples of type {dtype} at {rate}; expected one of {', '.join(FULL_SCALE)}, in Hz")
    labels = [name for name, kind in kinds.items() if kind == "class_label"]
    label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
    file = "file" if kinds.get("file") == "text" else None
    if dtype == "string":
        features: dict = {audio: tfds.features.Tensor(shape=(), dtype=np.object_)}
    else:
        shape = [None if size < 0 else size for size in told.shape.dimensions]
        tensor = tfds.features.Tensor(shape=shape, dtype=np.dtype(dtype).type, encoding=told.encoding or "none")
        features = {audio: tensor}
    if label:
        classes = stored.features_dict.features[label].class_label.num_classes
        features[label] = tfds.features.ClassLabel(num_classes=classes)
    if file:
        features[file] = tfds.features.Text()
    known = tfds.features.FeaturesDict(features)
    known.load_metadata(str(folder))
    return {
        "features": known,
        "audio": audio,
        "label": label,
        "file": file,
        "dtype": dtype,
        "sample_rate": int(told.sample_rate),
    }
