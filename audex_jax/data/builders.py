"""Data sets of our own for TensorFlow Datasets: `tess` and `audio_folder`; `data.prepared` reads what they write.

Recordings are stored as the files that they are, whatever their rate and format. Writing needs TensorFlow, reading not.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow_datasets as tfds

from audex_jax.data.folder import LabelledClip, assign_splits, read_folder
from audex_jax.data.listing import SPLITS, DataError, audio_files, text
from audex_jax.io.files import opened

EMOTIONS = {
    "angry": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "pleasant_surprise",
    "sad": "sad",
}


def tess_clips(root: str | os.PathLike) -> list[LabelledClip]:
    """The recordings of the Toronto emotional speech set below a folder, known by their file names.

    `OAF_back_angry.wav` is the word `back` by the older actress. There are two speakers, and both say all words: so the
    split is by word. A recording that lies there twice is taken once.

    Raises:
        DataError: none there.
    """
    found = {}
    for path in audio_files(root):
        match = re.fullmatch(rf"(OAF?|YAF)_(\w+)_({'|'.join(EMOTIONS)})", path.stem, re.IGNORECASE)
        if match:  # one of the published names lacks the F
            speaker = "YAF" if match[1].upper() == "YAF" else "OAF"
            found.setdefault((EMOTIONS[match[3].lower()], speaker, match[2].lower()), path)
    if not found:
        raise DataError(f"{root}: no recordings of TESS in it, such as OAF_back_angry.wav; unpack the download there")
    place = assign_splits([word for *_, word in found], [label for label, *_ in found])
    return [LabelledClip(path, label, speaker, place[word]) for (label, speaker, word), path in sorted(found.items())]


class Tess(tfds.core.GeneratorBasedBuilder):
    """Toronto emotional speech set: "Say the word ...", two actresses, seven emotions."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Download TESS (https://doi.org/10.5683/SP2/E8H2MF) and unpack it into the folder, at any depth."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            features=features_of(EMOTIONS.values()),
            description="200 words spoken in seven emotions by two actresses; split by word.",
            homepage="https://doi.org/10.5683/SP2/E8H2MF",
            citation="Pichora-Fuller, M. K. and Dupuis, K. (2020). Toronto emotional speech set (TESS).",
            license="CC BY-NC-ND 4.0",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        root = pathlib.Path(dl_manager.manual_dir)
        return {split: self._generate_examples(clips, root) for split, clips in by_split(tess_clips(root)).items()}

    def _generate_examples(self, clips: list[LabelledClip], root: pathlib.Path) -> Iterator[tuple[str, dict]]:
        return examples_of(clips, root)


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """Which labelled folder."""

    root: pathlib.Path = pathlib.Path()

    def __post_init__(self):
        if not re.fullmatch(r"[\w+.-]+", self.name):
            raise DataError(f"{self.name!r} cannot be the name of a data set; use letters, digits, _, - and .")


class AudioFolder(tfds.core.GeneratorBasedBuilder):
    """Any labelled folder, with or without `splits.csv`; see `data.folder`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, config: FolderConfig, **options):
        self.folder = read_folder(config.root)
        super().__init__(config=config, **options)

    def _info(self) -> tfds.core.DatasetInfo:
        about = f"Recordings of a folder; split by {self.folder.split_by}."
        return tfds.core.DatasetInfo(builder=self, features=features_of(self.folder.labels), description=about)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(clips) for split, clips in by_split(self.folder.clips).items()}

    def _generate_examples(self, clips: list[LabelledClip]) -> Iterator[tuple[str, dict]]:
        assert isinstance(self.builder_config, FolderConfig)
        return examples_of(clips, self.builder_config.root)


def features_of(labels: Iterable[str]) -> tfds.features.FeaturesDict:
    """What a record holds."""
    return tfds.features.FeaturesDict(
        {
            "audio": tfds.features.Audio(lazy_decode=True),
            "label": tfds.features.ClassLabel(names=sorted(labels)),
            "speaker": tfds.features.Text(),
            "file": tfds.features.Text(),
        }
    )


def by_split(clips: Iterable[LabelledClip]) -> dict[str, list[LabelledClip]]:
    """The clips of each split that has any."""
    clips = list(clips)
    return {split: mine for split in SPLITS if (mine := [clip for clip in clips if clip.split == split])}


def examples_of(clips: list[LabelledClip], root: pathlib.Path) -> Iterator[tuple[str, dict]]:
    """Key and record of each clip."""
    for clip in clips:
        name = text(os.path.relpath(clip.path, root))
        with opened(clip.path) as audio:
            yield name, {"audio": audio, "label": clip.label, "speaker": clip.speaker or "", "file": name}


def prepare(kind: str, root: str | os.PathLike, data_dir: str | os.PathLike, name: str, overwrite: bool) -> Any:
    """Write a folder as a data set; returns its TFDS description.

    Args:
        kind: `tess` or `audio_folder`.
        root: folder of recordings.
        data_dir: where data sets are kept.
        name: of the data set `audio_folder/NAME`.
        overwrite: write it again if it is there.

    Raises:
        DataError: the folder cannot be used, or the data set is there.
    """
    root = pathlib.Path(root).absolute()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    options: dict = {"data_dir": os.fspath(data_dir), "file_format": "array_record"}
    if kind == "tess":
        tess_clips(root)  # complains before anything is written
        builder: Any = Tess(**options)
    else:
        builder = AudioFolder(
            config=FolderConfig(name=name, description="Recordings of a folder.", root=root), **options
        )
    if pathlib.Path(builder.data_dir).exists() and not overwrite:
        raise DataError(f"{builder.data_dir}: prepared already; --overwrite to do it again")
    modes = tfds.download.GenerateMode
    mode = modes.REUSE_CACHE_IF_EXISTS if overwrite else modes.REUSE_DATASET_IF_EXISTS
    config = tfds.download.DownloadConfig(manual_dir=os.fspath(root), download_mode=mode)
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare(download_config=config)
    return builder.info
