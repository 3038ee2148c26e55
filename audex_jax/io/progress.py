"""Progress of long work on stderr: a live bar in a terminal, a line now and then in a log, nothing when quiet."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")
LOG_SECONDS = 30
COMPILING = "compiling (once; later runs take it from the cache)"  # what work on a device begins with


class Bar:
    """Progress of `total` steps; `update(done, note)` may be called as often as you like. Context manager.

    Until the first step is done, `first` says what takes so long: beside a spinner in a terminal, as a line in a log.
    """

    def __init__(self, what: str, total: int, quiet: bool = False, first: str = ""):
        self.what, self.total, self.quiet, self.first = what, total, quiet, first
        self.live = sys.stderr.isatty() and not quiet
        self.started = self.logged = time.monotonic()

    def __enter__(self) -> "Bar":
        if self.live:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            columns += (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
            self.progress = Progress(*columns, console=Console(stderr=True))
            self.progress.start()
            self.task = self.progress.add_task(self.what, total=self.total, note=self.first)
        elif self.first and not self.quiet:
            print(f"{self.what}: {self.first}", file=sys.stderr, flush=True)
        return self

    def update(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self.live:
            self.progress.update(self.task, completed=done, note=note)
        elif not self.quiet and (now - self.logged > LOG_SECONDS or (done == self.total and note)):
            self.logged = now
            print(f"{self.what}: {done}/{self.total} after {now - self.started:.0f} s  {note}", file=sys.stderr)

    def __exit__(self, *_) -> None:
        if self.live:
            self.progress.stop()


def track(items: Iterable[Item], what: str, total: int, quiet: bool = False, first: str = "") -> Iterator[Item]:
    """Yield `items` while showing how far they are; `first` as of `Bar`."""
    with Bar(what, total, quiet, first) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update(done)


class Bars:
    """One bar after the other, for work whose parts are known as they come. Context manager."""

    def __init__(self, quiet: bool = False):
        self.quiet, self.bar = quiet, Bar("", 0, quiet=True)

    def __enter__(self) -> "Bars":
        return self

    def update(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show how far `what` is; another one than before begins a bar of its own."""
        if what != self.bar.what:
            self.bar.__exit__()
            self.bar = Bar(what, total, self.quiet).__enter__()
        self.bar.update(done, note)

    def __exit__(self, *_) -> None:
        self.bar.__exit__()
