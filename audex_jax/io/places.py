"""Where results live: a folder of the disk, or an address in an object store. The address alone chooses which.

Either way a file is there as a whole or not at all. A folder has temporary files, locks and renames for it, see
`io.atomic`; an object store writes whole objects by itself, and needs neither.
"""

import contextlib
import dataclasses
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator, Sequence
from typing import Protocol

from audex_jax.io import atomic, remote
from audex_jax.io.files import content
from audex_jax.io.remote import StoreError


class Place(Protocol):
    """Files by their names below one root, such as `parts/part-000017.parquet`; `str(place)` is the root.

    Every method raises `OSError` or `StoreError` where the place cannot be used, and `FileError` for a file to be read
    that is not there.
    """

    def address(self, name: str) -> str:
        """What the file of a name is called elsewhere."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Names of what lies directly in a folder, sorted, without hidden ones; none if it is not there."""
        ...

    def make(self, folders: Sequence[str]) -> None:
        """Make folders, where a place has such things."""
        ...

    def read(self, name: str, last: int = 0) -> bytes:
        """The content of a file, or its `last` bytes at most."""
        ...

    def write(self, name: str, data: bytes, unless_exists: bool = False) -> None:
        """Write a file as a whole, not to be lost any more; replace one of that name, or leave it as it is."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def sweep(self, folders: Sequence[str]) -> None:
        """Remove what killed writers left in folders."""
        ...

    def held(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Hold a lock, where the place has locks; `StoreError` if another process does."""
        ...


def place_of(root: str | os.PathLike) -> Place:
    """The place at a path or an address."""
    root = os.fspath(root)
    if root.startswith(("file://", "local://")):
        root = root.partition("://")[2]
    return Bucket(root.rstrip("/")) if remote.is_address(root) else Folder(pathlib.Path(root))


def unwritable(place: Place, error: OSError) -> StoreError:
    """What the system said of a place, in words."""
    return StoreError(f"{place}: cannot write there ({error.strerror or error}); choose another folder")


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary file of the disk that becomes `path`, or the object at that address, on success.

    Raises:
        AudexError: there is a file that the tool did not write, or the store refuses it.
    """
    if isinstance(path, str) and remote.is_address(path):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "whole"
            yield file
            remote.upload(path, file)
    else:
        with atomic.replacing(path, durable=True) as file:
            yield file


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder of the disk, or of a file system that processes share."""

    root: pathlib.Path

    def __str__(self) -> str:
        return str(self.root)

    def address(self, name: str) -> str:
        return str(self.root / name)

    def names(self, folder: str = "") -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self.root / folder) if entry.name[0] != ".")
        except FileNotFoundError:
            return []

    def make(self, folders: Sequence[str]) -> None:
        for folder in folders:
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def read(self, name: str, last: int = 0) -> bytes:
        return content(self.root / name, last=last)

    def write(self, name: str, data: bytes, unless_exists: bool = False) -> None:
        path = self.root / name
        with atomic.replacing(path, durable=True, unless_exists=unless_exists, own=True) as temporary:
            temporary.write_bytes(data)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def sweep(self, folders: Sequence[str]) -> None:
        atomic.sweep(self.root / folder for folder in folders)

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        path = self.root / name
        try:
            handle = atomic.locked(path)
        except OSError as error:
            raise unwritable(self, error) from None
        if handle is None:
            owner = ""
            with contextlib.suppress(OSError):  # it may have ended since
                owner = path.read_text(encoding="utf-8", errors="replace")
            raise StoreError(f"{self.root}: {owner or 'another process'} is at work on this; let it finish")
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(handle)


@dataclasses.dataclass(frozen=True)
class Bucket:
    """Objects below an address of a store; two processes with one share write equal objects twice, and that is all."""

    root: str

    def __str__(self) -> str:
        return self.root

    def address(self, name: str) -> str:
        return f"{self.root}/{name}".rstrip("/")

    def names(self, folder: str = "") -> list[str]:
        return [name for name in remote.names(self.address(folder)) if name[0] != "."]

    def make(self, folders: Sequence[str]) -> None:
        pass

    def read(self, name: str, last: int = 0) -> bytes:
        return content(self.address(name), last=last)

    def write(self, name: str, data: bytes, unless_exists: bool = False) -> None:
        remote.put(self.address(name), data, unless_exists)

    def remove(self, name: str) -> None:
        remote.remove(self.address(name))

    def sweep(self, folders: Sequence[str]) -> None:
        pass

    def held(self, name: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()
