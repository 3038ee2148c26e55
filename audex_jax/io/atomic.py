"""Files that are there as a whole or not at all: the one place that writes them.

A writer holds a lock on its temporary file. One without a lock was left by a process that was killed; `sweep` removes
it.
"""

import contextlib
import ctypes
import fcntl
import glob
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterable, Iterator

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, durable: bool = False, unless_exists: bool = False) -> Iterator[pathlib.Path]:
    """Yield a temporary path beside `path`; it is renamed over it on success and removed on failure.

    Args:
        path: the file to write.
        durable: wait until the disk holds the file and its name, so that a power cut loses neither.
        unless_exists: leave a file of that name as it is.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
    handle = None
    while handle is None:  # nobody else knows the name, but a sweep may hold it for an instant
        handle = locked(temporary)
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
    for path in (path for folder in folders for path in folder.glob(".*.tmp")):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    prefix = f".{path.name[:40]}."
    for old in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        _remove_unlocked(old)
    staging = path.with_name(f"{prefix}{secrets.token_hex(4)}.tmp")
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
            aside = path.with_name(f"{prefix}{secrets.token_hex(4)}.tmp")
            os.rename(path, aside)
            os.rename(staging, path)
            shutil.rmtree(aside, ignore_errors=True)
        sync(path.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(handle)


def _remove_unlocked(folder: pathlib.Path) -> None:
    """Remove a folder whose writer is gone."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _exchanged(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchange the names of two folders in one step; False where the system cannot."""
    with contextlib.suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        return call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0
    return False
