"""A labelled folder of recordings: one sub-folder a label, and an optional `splits.csv`.

`splits.csv` has the columns `file,label,speaker,split` (`speaker` may be missing), `file` relative to the folder and
`split` one of train, val, test. Without it the split is made here: by speaker when the file names tell one, so that
nobody is heard in two splits, else by file.
"""

import csv
import dataclasses
import hashlib
import os
import pathlib
import re

from audex_jax.core.errors import AudexError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus", ".au")
SPLITS = ("train", "val", "test")


class DataError(AudexError):
    """A data folder that cannot be used; the message says what is wrong and what to do."""


@dataclasses.dataclass(frozen=True)
class LabelledClip:
    """One recording: where it is, what it says, who says it, and the split that it belongs to."""

    path: pathlib.Path
    label: str
    speaker: str | None
    split: str


@dataclasses.dataclass(frozen=True)
class LabelledFolder:
    """All clips of a folder in sorted order, its labels, and how the split came about (for the user to read)."""

    clips: tuple[LabelledClip, ...]
    labels: tuple[str, ...]
    split_by: str

    def split(self, name: str) -> list[LabelledClip]:
        return [clip for clip in self.clips if clip.split == name]


def audio_files(root: str | os.PathLike) -> list[pathlib.Path]:
    """Every audio file below `root`, sorted; hidden files and folders are left out."""
    root = pathlib.Path(root)
    found = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


def read_folder(root: str | os.PathLike, labels: tuple[str, ...] | None = None) -> LabelledFolder:
    """List the clips of a labelled folder.

    Args:
        root: the folder.
        labels: keep only these labels; None keeps all.

    Raises:
        DataError: no such folder, no audio, fewer than two labels, an unknown label, or a broken `splits.csv`.
    """
    root = pathlib.Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected one sub-folder of recordings for each label")
    table = root / "splits.csv"
    if table.exists():
        clips, split_by = _from_table(root, table), "splits.csv"
    else:
        clips, split_by = _from_names(root)
    present = sorted({clip.label for clip in clips})
    if labels is not None:
        unknown = sorted(set(labels) - set(present))
        if unknown:
            raise DataError(f"{root}: no clips with label {', '.join(unknown)}; there are {', '.join(present)}")
        clips, present = [clip for clip in clips if clip.label in labels], sorted(labels)
    if not clips:
        raise DataError(f"{root}: no audio below it; expected one sub-folder of recordings for each label")
    return LabelledFolder(tuple(clips), tuple(present), split_by)


def _from_table(root: pathlib.Path, table: pathlib.Path) -> list[LabelledClip]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = {"file", "label", "split"} - set(rows[0] if rows else ())
    if missing:
        raise DataError(f"{table}: column {', '.join(sorted(missing))} is missing; it needs file, label and split")
    clips = []
    for number, row in enumerate(rows, start=2):
        if row["split"] not in SPLITS:
            raise DataError(f"{table}, line {number}: split is {row['split']!r}; use one of {', '.join(SPLITS)}")
        path = root / row["file"]
        if not path.exists():
            raise DataError(f"{table}, line {number}: {row['file']} is not there; remove the line or add the file")
        clips.append(LabelledClip(path, row["label"], row.get("speaker") or None, row["split"]))
    return sorted(clips, key=lambda clip: str(clip.path))


def _from_names(root: pathlib.Path) -> tuple[list[LabelledClip], str]:
    files = [path for path in audio_files(root) if path.parent != root]
    named = [(path, path.relative_to(root).parts[0]) for path in files]
    speakers = [_speaker(path, label) for path, label in named]
    known = {speaker for speaker in speakers if speaker is not None}
    by_speaker = bool(files) and None not in speakers and len(known) >= 3
    groups = speakers if by_speaker else [str(path.relative_to(root)) for path in files]
    place = assign_splits(groups)
    clips = [
        LabelledClip(path, label, speaker, place[str(group)])
        for (path, label), speaker, group in zip(named, speakers, groups, strict=True)
    ]
    return clips, "speaker, read from the file names" if by_speaker else "file (the names tell no speaker)"


def _speaker(path: pathlib.Path, label: str) -> str | None:
    """Speaker as Speech Commands (`<speaker>_nohash_3.wav`) and FSDD (`<label>_<speaker>_3.wav`) name it."""
    name = path.stem
    match = re.fullmatch(r"(.+)_nohash_\d+", name) or re.fullmatch(re.escape(label) + r"_([^_]+)_\d+", name)
    return match.group(1) if match else None


def assign_splits(groups: list) -> dict[str, str]:
    """Put each group (a speaker or a file) into a split by the order of its hash: about 70, 15 and 15 % of groups.

    The order of hashes does not depend on the other clips' names, so adding clips moves few groups.
    """
    names = sorted({str(group) for group in groups}, key=lambda name: hashlib.sha256(os.fsencode(name)).hexdigest())
    first, second = round(0.70 * len(names)), round(0.85 * len(names))
    if len(names) >= 3:
        first, second = max(1, min(first, len(names) - 2)), max(2, min(second, len(names) - 1))
    return {name: SPLITS[(i >= first) + (i >= second)] for i, name in enumerate(names)}
