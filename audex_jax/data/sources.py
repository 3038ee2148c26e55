"""Every kind of input of a job, and which one an input is: the one place that chooses.

a folder                 `listing`    recordings below it, of the disk or of an object store
a list                   `table`      text, CSV or Parquet with a column `path` or `file`
*.parquet with audio     `embedded`   a file, or a folder of them
*.tar                    `tars`       a file, or a folder of them
tfds:NAME...             `prepared`
"""

import os

from audex_jax.data import embedded, prepared, tars
from audex_jax.data.listing import DataError, labels_and_splits, list_recordings, text, tidy
from audex_jax.data.record import Listed, Record
from audex_jax.data.table import read_table
from audex_jax.io import remote

PATH_COLUMNS = ("path", "file")
READERS = {
    prepared.PREFIX: prepared.read_record,
    embedded.PREFIX: embedded.read_row,
    tars.PREFIX: tars.read_member,
}


def is_record(address: str) -> bool:
    """Whether an address is that of a record in a file, and not of a file."""
    return address.startswith(tuple(READERS))


def read_record(address: str, sample_rate: int, channels: int = 1) -> Record:
    """The recording at the address of a record."""
    return READERS[f"{address.partition(':')[0]}:"](address, sample_rate, channels)


def beside(folder: str, path: str) -> str:
    """A path that may be relative to `folder`; addresses never are."""
    return path if is_record(path) or remote.is_address(path) else os.path.join(folder, path)


def list_clips(data: str) -> Listed:
    """The recordings of an input.

    Raises:
        DataError: nothing there, no recordings in it, or it cannot be read; says what to do.
        StoreError: an object store cannot be read.
    """
    if data.startswith(prepared.PREFIX):
        ids, addresses = prepared.list_records(data)
        return Listed(addresses, addresses, [None] * len(ids), ids)
    if remote.is_address(data):
        data = data.rstrip("/")
        kind = remote.kind_of(data)
    else:
        kind = "directory" if os.path.isdir(data) else "file" if os.path.exists(data) else None
    if kind is None:
        raise DataError(f"{data}: no such file or folder; check the path")
    if kind == "directory":
        return _of_folder(data)
    suffix = os.path.splitext(data)[1].lower()
    if suffix == ".tar":
        return _found(data, tars.list_tars([data]))
    if suffix == ".parquet" and embedded.holds_recordings(data):
        return _found(data, embedded.list_embedded([data]))
    return _of_table(data)


def _of_folder(root: str) -> Listed:
    """Recordings below a folder; where there are none, those in the files of recordings that lie in it."""
    listing = list_recordings(root)
    if listing.names:
        listing.tell()
        labels = [label for label, _ in labels_and_splits(listing.names)]
        return Listed([os.path.join(root, name) for name in listing.names], list(listing.names), labels)
    inside = remote.names(root) if remote.is_address(root) else sorted(os.listdir(root))
    files = [os.path.join(root, name) for name in inside if not name.startswith(".")]
    if packed := [path for path in files if path.lower().endswith(".tar")]:
        return _found(root, tars.list_tars(packed))
    if packed := [path for path in files if path.lower().endswith(".parquet") and embedded.holds_recordings(path)]:
        return _found(root, embedded.list_embedded(packed))
    others = f" (left out: {listing.left_out()})" if listing.others else ""
    raise DataError(f"{root}: no audio in this folder{others}; expected WAV, FLAC, OGG or MP3 files")


def _found(data: str, listed: Listed) -> Listed:
    if not listed.addresses:
        raise DataError(f"{data}: no recordings in it; expected WAV, FLAC, OGG or MP3 files inside")
    return listed


def _of_table(path: str) -> Listed:
    columns = read_table(path, (*PATH_COLUMNS, "id", "label")).columns
    name = next((name for name in PATH_COLUMNS if name in columns), None)
    if name is None:
        raise DataError(f"{path}: no column `path`; it has {', '.join(filter(None, columns)) or 'none'}")
    listed = columns[name]
    if not listed or not all(listed):
        raise DataError(f"{path}: {'a row without a path' if listed else 'it lists no clips'}")
    labels = [tidy(label) or None for label in columns.get("label", [""] * len(listed))]
    ids = [text(name) for name in columns["id"]] if "id" in columns else None
    if ids is not None and not all(ids):
        raise DataError(f"{path}: a row without an id; give every row one, or leave the column out")
    return Listed([beside(os.path.dirname(path), place) for place in listed], listed, labels, ids)
