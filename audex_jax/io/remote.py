"""Files in object stores: `gs://`, `s3://`, and every other address that fsspec knows (extra `cloud`).

An object is there as a whole or not at all, and one is replaced in one step. What fails for a while is tried again,
`TRIES` times; what cannot succeed is told in one line.
"""

import errno
import io
import logging
import os
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from audex_jax.core.errors import AudexError, shown

Found = TypeVar("Found")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
TRIES, PAUSE, LONGEST_PAUSE = 10, 0.1, 10.0  # seconds, twice as long each time: 40 s in all
BLOCK = 2**20  # bytes of an object that are fetched, and two of which are kept, at once
BUILTIN = {"builtins", "audex_jax"}  # where errors come from that are no store's
LOG = logging.getLogger(__name__)


class StoreError(AudexError):
    """A place that cannot be read or written, for all of its files; the message says why and what to do."""


def is_address(path: str | os.PathLike) -> bool:
    """Whether a path is the address of something in a store."""
    return isinstance(path, str) and ADDRESS.match(path) is not None


def attempt(address: str, call: Callable[[], Found]) -> Found:
    """What a call returns that asks a store, tried again while the store is not at its best.

    Raises:
        FileNotFoundError, FileExistsError: as the call raises them; the first for a bucket that is not there, too.
        StoreError: the store refuses, or does not answer.
    """
    for number in range(1, TRIES + 1):
        try:
            return call()
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:
            kind, reason = type(error), shown(error, 300) or type(error).__name__
            if not isinstance(error, OSError) and kind.__module__.partition(".")[0] in BUILTIN:
                raise
            if "Credential" in kind.__name__ or "auth" in kind.__module__.split("."):
                raise StoreError(f"{address}: no access without credentials ({reason}); log in to the store") from None
            denied = isinstance(error, PermissionError) or reason.startswith("Forbidden")
            if denied or getattr(error, "code", None) in (401, 403):
                raise StoreError(f"{address}: access denied ({reason}); log in, or ask for the right") from None
            if "condition" in reason and "specified did not hold" in reason:
                raise FileExistsError(address) from None
            if getattr(error, "errno", None) == errno.ENOSYS:
                raise NotImplementedError from None
            if number == TRIES:
                raise StoreError(
                    f"{address}: the store does not answer as it should, after {TRIES} tries ({reason}); check the "
                    "network and the address, and give the same command again"
                ) from None
            LOG.info("%s: %s; trying again", address, reason)
            time.sleep(min(LONGEST_PAUSE, PAUSE * 2 ** (number - 1)) * random.uniform(0.5, 1.5))
    raise AssertionError


def filesystem(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it.

    Raises:
        StoreError: what reads such addresses is not installed, or nothing does.
    """
    try:
        import fsspec.core

        return fsspec.core.url_to_fs(address)
    except ImportError:
        raise StoreError(f"{address}: needs the extra for object stores: pip install 'audex-jax[cloud]'") from None
    except ValueError as error:
        raise StoreError(f"{address}: no address of a store ({error}); give gs://, s3:// or a path") from None


class Remote(io.RawIOBase):
    """An object that is read in blocks, at random access; at most two blocks are in memory.

    Attributes:
        fault: why it cannot be read any more, for those who cannot let an error through.

    Raises:
        FileNotFoundError: there is none.
        IsADirectoryError: there are only others below this name.
        StoreError: the store refuses, or does not answer; reading raises it, too.
    """

    def __init__(self, address: str):
        store, path = filesystem(address)
        self.address, self.at, self.fault = address, 0, None
        how = {"block_size": BLOCK, "cache_type": "blockcache", "cache_options": {"maxblocks": 2}}
        self.file = attempt(address, lambda: store.open(path, "rb", **how))
        about = getattr(self.file, "details", None) or attempt(address, lambda: store.info(path))
        if about["type"] == "directory":
            raise IsADirectoryError(address)
        self.size = about["size"]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = max(0, offset + (0, self.at, self.size)[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        def read() -> bytes:
            self.file.seek(self.at)
            return self.file.read(wanted)

        wanted = max(0, min(len(buffer), self.size - self.at))
        buffer[:wanted] = self._come(read, wanted)
        return wanted

    def readall(self) -> bytes:
        wanted = max(0, self.size - self.at)
        return self._come(lambda: fetch(self.address, self.at, self.size), wanted)

    def _come(self, read: Callable[[], bytes], wanted: int) -> bytes:
        """So many bytes, read by a call."""
        try:
            if self.fault:
                raise self.fault
            found = attempt(self.address, read) if wanted else b""
            if len(found) != wanted:
                raise StoreError(f"{self.address}: {len(found)} of {wanted} bytes came; it was changed meanwhile")
        except FileNotFoundError:
            self.fault = StoreError(f"{self.address}: it was removed while it was read; put it back")
            raise self.fault from None
        except StoreError as error:
            self.fault = error
            raise
        self.at += wanted
        return found

    def close(self) -> None:
        if not self.closed:
            self.file.close()
        super().close()


def kind_of(address: str) -> str | None:
    """`file`, `directory` (others have names below it) or None for what is not there."""
    store, path = filesystem(address)
    store.invalidate_cache()
    try:
        return attempt(address, lambda: store.info(path))["type"]
    except FileNotFoundError:
        return None


def fetch(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Bytes of an object, all or from `start` (from its end if negative) to `end`.

    Raises:
        FileNotFoundError, StoreError: as for `attempt`.
    """
    store, path = filesystem(address)
    return attempt(address, lambda: store.cat_file(path, start=start, end=end))


def put(address: str, data: bytes, unless_exists: bool = False) -> None:
    """Write an object in one request, or leave one that is there as it is.

    Raises:
        StoreError: the store refuses, or does not answer; then it holds the object as before, or all of it.
    """
    store, path = filesystem(address)
    try:
        if unless_exists:
            try:
                return attempt(address, lambda: store.pipe_file(path, data, mode="create"))
            except FileExistsError:
                return None
            except (NotImplementedError, ValueError) as error:  # a store that cannot ask for that
                if isinstance(error, StoreError) or kind_of(address):
                    raise
        return attempt(address, lambda: store.pipe_file(path, data))
    except FileNotFoundError:
        raise StoreError(f"{address}: no such bucket; make it, or check the address") from None


def upload(address: str, path: str | os.PathLike) -> None:
    """Write a file of the disk as an object, which is there once all of it is; raises as `put`."""
    store, there = filesystem(address)
    try:
        attempt(address, lambda: store.put_file(os.fspath(path), there))
    except FileNotFoundError:
        raise StoreError(f"{address}: no such bucket; make it, or check the address") from None


def remove(address: str) -> None:
    """Remove an object, if it is there."""
    store, path = filesystem(address)
    try:
        attempt(address, lambda: store.rm_file(path))
    except FileNotFoundError:
        return


def names(address: str, deep: bool = False) -> list[str]:
    """Names of what lies directly below an address, or of all objects at any depth, relative to it, sorted."""
    store, path = filesystem(address)
    store.invalidate_cache()
    call = store.find if deep else store.ls
    try:
        found = attempt(address, lambda: call(path, detail=False))
    except FileNotFoundError:
        return []
    finally:
        store.invalidate_cache()
    start = path.rstrip("/") + "/"
    inside = {name.removeprefix(start).rstrip("/") for name in found if name.startswith(start)}
    return sorted(inside - {""})
