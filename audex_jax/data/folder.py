"""A labelled folder of recordings: one sub-folder a label, and an optional `splits.csv`.

`splits.csv` has the columns `file,label,speaker,split` (`speaker` may be missing), `file` relative to the folder and
`split` one of train, val, test. Without it, folders `train`, `val`, `test` with labels inside are the splits; without
these the split is made here: by speaker when the file names tell one, so that nobody is heard in two splits, else by
file.
"""

import dataclasses
import hashlib
import os
import pathlib
import re

from audex_jax.core.errors import shown
from audex_jax.data.listing import (
    LOG,
    SPLITS,
    TABLE,
    DataError,
    Listing,
    labels_and_splits,
    list_recordings,
    require_decoders,
    tidy,
)
from audex_jax.data.table import read_table
from audex_jax.io.files import is_regular


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
    listing = list_recordings(root)
    listing.tell()
    require_decoders(listing)
    table = root / TABLE
    clips, split_by = (_from_table(listing, table), TABLE) if table.exists() else _from_names(listing)
    present = sorted({clip.label for clip in clips})
    if labels is not None:
        unknown = sorted(set(labels) - set(present))
        if unknown:
            raise DataError(f"{root}: no clips with label {', '.join(unknown)}; there are {', '.join(present)}")
        clips, present = [clip for clip in clips if clip.label in labels], sorted(labels)
    if not clips:
        others = f" (left out: {listing.left_out()})" if listing.others else ""
        raise DataError(f"{root}: no audio below it{others}; expected one sub-folder of recordings for each label")
    return LabelledFolder(tuple(clips), tuple(present), split_by)


def _from_table(listing: Listing, table: pathlib.Path) -> list[LabelledClip]:
    """The clips that `splits.csv` lists, each once."""
    root, rows = pathlib.Path(listing.root), read_table(table, ("file", "label", "speaker", "split"))
    missing = {"file", "label", "split"} - rows.columns.keys()
    if missing:
        has = ", ".join(rows.columns)
        raise DataError(
            f"{table}: column {', '.join(sorted(missing))} is missing; it needs file, label and split, has {has}"
        )
    speakers = rows.columns.get("speaker", [""] * len(rows.lines))
    clips: list[LabelledClip] = []
    known: dict[str, int] = {}
    cells = (rows.columns[name] for name in ("file", "label", "split"))
    for number, file, label, split, speaker in zip(rows.lines, *cells, speakers, strict=True):
        where = f"{table}, line {number}"
        if split.strip() not in SPLITS:
            raise DataError(f"{where}: split is {split!r}; use one of {', '.join(SPLITS)}")
        if not tidy(label):
            raise DataError(f"{where}: the label is empty; write one, or remove the line")
        path = root / file
        if not is_regular(path):
            if not file.isascii() and "\udc80" <= max(file) <= "\udcff":
                raise DataError(f"{where}: {file} is not there, and not UTF-8; save the table as UTF-8")
            what = "no recording but a folder or the like" if path.exists() else "not there"
            raise DataError(f"{where}: {file or 'the file'} is {what}; remove the line or add the file")
        first = known.setdefault(os.path.realpath(path), number)
        if first != number:
            raise DataError(f"{where}: {file} is listed in line {first}, too; remove one of them")
        clips.append(LabelledClip(path, tidy(label), speaker.strip() or None, split.strip()))
    unlisted = [name for name in listing.names if os.path.realpath(root / name) not in known]
    if unlisted:
        LOG.warning("%s: %d recordings are not listed, such as %s", shown(table), len(unlisted), shown(unlisted[0]))
    return sorted(clips, key=lambda clip: str(clip.path))


def _from_names(listing: Listing) -> tuple[list[LabelledClip], str]:
    """The clips whose folders tell a label."""
    root, told = pathlib.Path(listing.root), labels_and_splits(listing.names)
    found = [(name, label, split) for name, (label, split) in zip(listing.names, told, strict=True) if label]
    outside = [name for name, (label, _) in zip(listing.names, told, strict=True) if not label]
    if outside and any(split for _, split in told):
        raise DataError(
            f"{root}: its folders are splits, and {len(outside)} recordings, such as {outside[0]}, are in no folder of "
            "a label inside; move them, or list all in splits.csv"
        )
    if outside:
        LOG.warning("%s: %d recordings are in no folder of a label, such as %s", shown(root), len(outside), outside[0])
    speakers = [_speaker(root / name, label) for name, label, _ in found]
    if any(split for *_, split in found):
        clips = [
            LabelledClip(root / name, label, speaker, split)
            for (name, label, split), speaker in zip(found, speakers, strict=True)
            if split
        ]
        return clips, "its folders"
    known = {speaker for speaker in speakers if speaker is not None}
    by_speaker = bool(found) and None not in speakers and len(known) >= 3
    groups = speakers if by_speaker else [name for name, *_ in found]
    place = assign_splits(groups)
    clips = [
        LabelledClip(root / name, label, speaker, place[str(group)])
        for (name, label, _), speaker, group in zip(found, speakers, groups, strict=True)
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
