"""A labelled folder of recordings: one sub-folder a label, and an optional `splits.csv`.

`splits.csv` has the columns `file,label,speaker,split` (`speaker` may be missing), `file` relative to the folder and
`split` one of train, val, test. Without it, folders `train`, `val`, `test` with labels inside are the splits; without
these the split is made here, so that every label is in every split: by speaker when the file names tell one, so that
nobody is heard in two splits, else by file.
"""

import collections
import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Sequence

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

SHARES = (0.70, 0.15, 0.15)  # of each label's clips, in the order of `SPLITS`


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
    speakers, example = _speakers([root / name for name, *_ in found], [label for _, label, _ in found])
    if any(split for *_, split in found):
        clips = [
            LabelledClip(root / name, label, speaker, split)
            for (name, label, split), speaker in zip(found, speakers, strict=True)
            if split
        ]
        return clips, "its folders"
    by_speaker = None not in speakers and len(set(speakers)) >= 3
    groups = speakers if by_speaker else [name for name, *_ in found]
    place = assign_splits(groups, [label for _, label, _ in found])
    clips = [
        LabelledClip(root / name, label, speaker, place[str(group)])
        for (name, label, _), speaker, group in zip(found, speakers, groups, strict=True)
    ]
    how = f"label and speaker, read from the file names (such as {example})"
    return clips, how if by_speaker else "label and file (the names tell no speaker)"


def _speakers(paths: list[pathlib.Path], labels: list[str]) -> tuple[list[str | None], str]:
    """The speaker that each file name tells, and the first of them.

    Names are those of Speech Commands (`<speaker>_nohash_3.wav`), or hold the label, a speaker and a number in any
    order (`<label>_<speaker>_3.wav`); the label and the number may be missing, if most speakers have several labels.
    """
    known = [re.fullmatch(r"(.+)_nohash_\d+", path.stem) for path in paths]
    if any(known):
        found = [match.group(1) if match else None for match in known]
    else:
        found = [_without_label(path.stem, label) for path, label in zip(paths, labels, strict=True)]
        several = collections.defaultdict(set)
        for speaker, label in zip(found, labels, strict=True):
            several[speaker].add(label)
        if None in several or sum(len(own) > 1 for own in several.values()) * 2 < len(several):
            found = [None] * len(paths)
    return found, next(filter(None, found), "")


def _without_label(stem: str, label: str) -> str | None:
    """What a file's name says beside its label and numbers; None if no letter is left.

    >>> _without_label("7_george_12", "7"), _without_label("f3-yes", "yes"), _without_label("yes_12", "yes")
    ('george', 'f3', None)
    """
    rest = re.sub(rf"(?i)(?<![^\W_]){re.escape(label)}(?![^\W_])", "", stem)
    left = "-".join(part for part in re.split(r"[_\s-]+", rest) if part and not part.isdigit())
    return left if any(letter.isalpha() for letter in left) else None


def assign_splits(groups: list, labels: Sequence[str]) -> dict[str, str]:
    """Put each group (a speaker or a file) into a split, so that each has about 70, 15 and 15 % of every label's clips.

    Groups are placed in the order of their hashes, each where most of its labels are absent, then where these lack most
    clips (much as "iterative stratification", Sechidis et al. 2011). If every clip is a group of its own, a label of
    three clips has one in every split.

    Args:
        groups: the group of each clip.
        labels: the label of each clip.
    """
    inside: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for group, label in zip(groups, labels, strict=True):
        inside[str(group)][label] += 1
    wanted = collections.Counter(labels)
    given = {split: collections.Counter() for split in SPLITS}
    place = {}
    for name in sorted(inside, key=lambda name: hashlib.sha256(os.fsencode(name)).hexdigest()):
        own = inside[name]
        lacks = {}
        for split, share in zip(SPLITS, SHARES, strict=True):
            absent = sum(label not in given[split] for label in own)
            of_labels = sum(share * wanted[label] - given[split][label] for label in own)
            lacks[split] = absent, of_labels, share * len(labels) - given[split].total()
        place[name] = max(SPLITS, key=lambda split: lacks[split])
        given[place[name]].update(own)
    return place
