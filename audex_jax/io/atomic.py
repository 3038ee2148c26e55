"""Files that are there as a whole or not at all: the one place that writes them.

A writer holds a lock on its temporary file or folder. One without a lock was left by a process that was killed; the
next writer in that place removes it.
"""

import contextlib
import ctypes
import fcntl
import functools
import os
import pathlib
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from audex_jax.io.files import json_text
from audex_jax.io.marks import MARK, must_not_replace

TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.audex-tmp", re.DOTALL)
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, *, durable: bool = False, unless_exists: bool = False, own: bool = False
) -> Iterator[pathlib.Path]:
    """Yield a temporary path beside `path`; it is renamed over it on success and removed on failure.

    Args:
        path: the file to write.
        durable: wait until the disk holds the file and its name, so that a power cut loses neither.
        unless_exists: leave a file of that name as it is.
        own: the folder is the tool's own; whatever stands there under that name is replaced.

    Raises:
        AudexError: there is a file that the tool did not write; see `io.marks`.
    """
    path = pathlib.Path(path)
    if not (unless_exists or own):
        must_not_replace(path)
    _sweep_once(path.parent.absolute(), os.getpid())
    temporary, handle = _temporary(path)
    try:
        yield temporary
        if durable:
            sync(temporary)
        if not (unless_exists and _linked(temporary, path)):
            os.replace(temporary, path)
        if durable:
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def write_json(path: str | os.PathLike, record: Mapping[str, Any], *, durable: bool = False, **how: Any) -> None:
    """Write a JSON object, whole or not at all, marked; keywords are those of `json.dumps`.

    Raises:
        FileError: it holds a number that is not finite.
    """
    text = json_text({"made_by": MARK} | dict(record), **how)
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def write_npz(
    path: str | os.PathLike, arrays: Mapping[str, Any], *, compressed: bool = True, own: bool = False
) -> None:
    """Write arrays, whole or not at all, marked; `own` as in `replacing`."""
    with replacing(path, own=own) as temporary:
        with temporary.open("wb") as file:
            (np.savez_compressed if compressed else np.savez)(file, allow_pickle=False, **arrays)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = MARK.encode()


def _temporary(path: pathlib.Path) -> tuple[pathlib.Path, int]:
    """A new temporary file beside `path`, and the handle that holds its lock."""
    temporary = _beside(path)
    handle = None
    while handle is None:  # nobody else knows the name, but a sweep may hold it for an instant
        handle = locked(temporary)
    return temporary, handle


def _beside(path: pathlib.Path) -> pathlib.Path:
    """A new name for something temporary beside `path`."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.audex-tmp")


@functools.lru_cache(maxsize=1000)
def _sweep_once(folder: pathlib.Path, process: int) -> None:
    """`sweep` one folder, once in a process."""
    sweep((folder,))


def _linked(temporary: pathlib.Path, path: pathlib.Path) -> bool:
    """Give a file its name unless another has it; False on a file system without hard links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return True
    except OSError:
        return path.exists()
    return True


def sweep(folders: Iterable[pathlib.Path]) -> None:
    """Remove what killed writers left behind in some folders."""
    for path in (path for folder in folders for path in folder.glob(".*.audex-tmp")):
        if TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                _remove_unlocked(path)


def _remove_unlocked(path: pathlib.Path) -> None:
    """Remove a temporary file or folder whose writer is gone."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def locked(path: pathlib.Path) -> int | None:
    """Open a file for writing and lock it; None if another process has. The caller closes the handle."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            return handle  # a file system without locks: two processes waste work, and corrupt nothing
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        os.close(handle)  # the holder removed it between the two calls


def sync(path: pathlib.Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield an empty folder beside `path`, which takes its place at once on success and is removed on failure.

    A folder that is there already is exchanged for the new one in one step where the system can do that; elsewhere none
    has that name for an instant. What earlier calls left behind when they were killed is removed.

    Raises:
        OSError: it cannot be written.
    """
    path = pathlib.Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep((path.parent,))
    staging = _beside(path)
    staging.mkdir()
    handle = os.open(staging, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield staging
        for file in staging.iterdir():
            sync(file)
        sync(staging)
        if not path.exists():
            os.rename(staging, path)
        elif not _exchanged(staging, path):
            aside = _beside(path)
            os.rename(path, aside)
            os.rename(staging, path)
            shutil.rmtree(aside, ignore_errors=True)
        sync(path.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(handle)


def _exchanged(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchange the names of two folders in one step; False where the system cannot."""
    with contextlib.suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        return call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0
    return False
