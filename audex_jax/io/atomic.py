"""Files that are there as a whole or not at all: the one place that writes them.

A writer holds a lock on its temporary file. One without a lock was left by a process that was killed; `sweep` removes
it.
"""

import contextlib
import fcntl
import os
import pathlib
import secrets
from collections.abc import Iterable, Iterator


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
