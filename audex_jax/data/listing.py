"""Recordings below a folder, and what else lies there: the one lister for training, batches and single commands."""

import collections
import dataclasses
import logging
import os
import pathlib
import stat
import unicodedata

from audex_jax.core.errors import AudexError, shown
from audex_jax.io import remote
from audex_jax.io.decode import CONTAINERS, SUFFIXES, reads_containers
from audex_jax.io.marks import is_explanation

SPLITS = ("train", "val", "test")
# names of folders that stand for a split, where all folders have such names
SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
                 "test": "test", "testing": "test", "eval": "test"}  # fmt: skip
TABLE = "splits.csv"  # of a labelled folder
LOG = logging.getLogger(__name__)


class DataError(AudexError):
    """Data that cannot be used; the message says what is wrong and what to do."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        root: the folder, or the address of one in an object store.
        names: of the recordings, relative to it, sorted.
        others: what was left out: kind -> number, and the name of the first. Hidden files and folders are not counted.
    """

    root: pathlib.Path | str
    names: tuple[str, ...]
    others: dict[str, tuple[int, str]]

    def left_out(self) -> str:
        """What was left out, in words; empty if nothing was."""
        parts = [f"{count} {kind} (such as {shown(first)})" for kind, (count, first) in sorted(self.others.items())]
        return ", ".join(parts)

    def tell(self) -> None:
        """Log what was left out."""
        if self.others:
            LOG.warning("%s: left out: %s", shown(self.root), self.left_out())


def list_recordings(root: str | os.PathLike) -> Listing:
    """Every recording below a folder, through links to folders too; nothing is listed twice.

    Args:
        root: the folder, or an address in an object store.

    Raises:
        DataError: a folder that cannot be listed.
    """
    names: list[str] = []
    others: dict[str, list[str]] = collections.defaultdict(list)
    seen: set[tuple[int, int]] = set()
    if remote.is_address(root):
        for number, name in enumerate(remote.names(str(root), deep=True)):
            if not any(part.startswith(".") for part in name.split("/")):
                _sort_in(str(root), name, (0, number), True, names, others, seen)
        return _listing(str(root), names, others)
    root = pathlib.Path(root)
    folders, links = [""], []  # what lies in a folder itself goes before what is linked from there
    while folders or links:
        if folders:
            inside = folders.pop()
            try:
                at = os.stat(root / inside)
                if (at.st_dev, at.st_ino) in seen:
                    others["folders that links lead back to"].append(inside)
                    continue
                seen.add((at.st_dev, at.st_ino))
                entries = sorted(os.scandir(root / inside), key=lambda entry: entry.name, reverse=True)
            except OSError as error:
                raise DataError(
                    f"{root / inside}: cannot list this folder ({error.strerror}); make it readable"
                ) from None
            for entry in entries:
                name = os.path.join(inside, entry.name)
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    links.append(name)
                elif entry.is_dir():
                    folders.append(name)
                else:
                    _sort_in(root, name, (at.st_dev, entry.inode()), entry.is_file(), names, others, seen)
            continue
        name = links.pop()
        try:
            at = os.stat(root / name)
        except OSError:
            others["links to nothing"].append(name)
            continue
        if stat.S_ISDIR(at.st_mode):
            folders.append(name)
        elif (at.st_dev, at.st_ino) in seen:
            others["links to recordings that are listed"].append(name)
        else:
            _sort_in(root, name, (at.st_dev, at.st_ino), stat.S_ISREG(at.st_mode), names, others, seen)
    return _listing(root, names, others)


def _listing(root: pathlib.Path | str, names: list[str], others: dict[str, list[str]]) -> Listing:
    counted = {kind: (len(found), min(found)) for kind, found in others.items()}
    return Listing(root, tuple(sorted(names, key=lambda name: os.fsencode(name).split(b"/"))), counted)


def _sort_in(
    root: pathlib.Path | str, name: str, place: tuple[int, int], regular: bool, names: list, others: dict, seen: set
) -> None:
    suffix = os.path.splitext(name)[1].lower()
    if not regular:
        others["pipes or devices"].append(name)
    elif name == TABLE:
        return
    elif suffix in SUFFIXES and is_explanation(os.path.join(root, name)):
        others["sounds that audex explain wrote"].append(name)
    elif suffix in SUFFIXES:
        names.append(name)
        seen.add(place)
    else:
        others[f"{shown(suffix, 20)} files" if suffix else "files without a suffix"].append(name)


def audio_files(root: str | os.PathLike) -> list[pathlib.Path]:
    """Every recording below `root`, sorted; hidden files and folders are left out."""
    listing = list_recordings(root)
    return [pathlib.Path(listing.root, name) for name in listing.names]


def require_decoders(listing: Listing) -> None:
    """Refuse recordings of formats that need PyAV where it is not installed.

    Raises:
        DataError: counts and names them.
    """
    foreign = [name for name in listing.names if os.path.splitext(name)[1].lower() in CONTAINERS]
    if foreign and not reads_containers():
        raise DataError(
            f"{listing.root}: {len(foreign)} recordings, such as {foreign[0]}, need PyAV: pip install "
            "'audex-jax[formats]'; or convert them to WAV or FLAC"
        )


def tidy(label: str) -> str:
    r"""A label as everything holds it: composed (NFC), without blanks around it; bytes that are no UTF-8 as `\xff`.

    >>> tidy("cafe\u0301 ") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text(label)).strip()


def text(path: str) -> str:
    r"""A path as text that every program can read: bytes that are not UTF-8 become `\xff`.

    >>> text(os.fsdecode(b"caf\xe9.wav"))
    'caf\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def labels_and_splits(names: tuple[str, ...]) -> list[tuple[str | None, str | None]]:
    """Label and split that each recording's folders tell: LABEL/..., or SPLIT/LABEL/... where all folders are splits.

    >>> labels_and_splits(("a/1.wav", "2.wav")), labels_and_splits(("train/a/1.wav", "test/a/2.wav"))
    ([('a', None), (None, None)], [('a', 'train'), ('a', 'test')])
    """
    parts = [name.split(os.sep) for name in names]
    tops = {folders[0].lower() for *folders, _ in parts if folders}
    splits = {SPLIT_FOLDERS.get(top) for top in tops}
    if None in splits or "train" not in splits or len(splits) < 2:
        return [(tidy(folders[0]) if folders else None, None) for *folders, _ in parts]
    found = []
    for *folders, _ in parts:
        split = SPLIT_FOLDERS[folders[0].lower()] if folders else None
        found.append((tidy(folders[1]) if len(folders) > 1 else None, split))
    return found
