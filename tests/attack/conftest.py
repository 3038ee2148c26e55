"""What all attacks share: seeded damage, and a guard around what is attacked."""

import contextlib
import faulthandler
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from audex_jax.core.errors import LONGEST, AudexError

SECONDS, MEGABYTES = 10, 1000  # that one input may cost
# what stands in the place of a value
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 17, 1000, 10**9, 10**400, 0.5, -0.5, 1e-300, 1e308, "", " ", "x", "NaN", "yes ",
    "x" * 10**5, "\x1b[2J\x07", "\ud800", "../../etc/passwd", [], [[]], {}, {"a": 1}, ["yes", "yes"], ["a", 1],
    [1e9] * 9,
)  # fmt: skip


@pytest.fixture
def attack() -> Callable[..., Any]:
    """`attack(call)`: what a call returns, or None if it refuses in one line; anything else fails the test."""
    return attacked


def attacked(call: Callable[[], Any], errors: tuple = (AudexError,)) -> Any:
    """Run a call that may return or refuse in words, within `SECONDS` and `MEGABYTES`, and nothing else."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with time_limit():
            return call()
    except errors as error:
        said = str(error)
    finally:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
        assert grown < MEGABYTES, f"{grown:.0f} MB"
    assert 0 < len(said) <= 2 * LONGEST
    assert not {*"\n\r\x1b\x07\x00"} & {*said}
    return None


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Fail what takes longer than `SECONDS`; end the process if it cannot be interrupted."""

    def late(*_):
        raise AssertionError(f"took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def damaged(content: bytes, rng: np.random.Generator, head: int = 10**9) -> bytes:
    """Bytes with a flipped bit, other bytes, bytes taken out or put in, cut off, or twice; within the first `head`."""
    reach = max(1, min(head, len(content)))
    at, length = int(rng.integers(reach)), int(rng.integers(1, 9))
    kind = rng.integers(7)
    if kind == 0:
        return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :] if content else b""
    if kind == 1:
        return content[:at] + rng.bytes(length) + content[at + length :]
    if kind == 2:
        return content[:at] + content[at + length :]
    if kind == 3:
        return content[:at] + rng.bytes(length) + content[at:]
    if kind == 4:
        return content[:at]
    if kind == 5:
        return content[:at] + bytes([(0, 255)[int(rng.integers(2))]]) * length + content[at + length :]
    return content + content[at:]


def mutated(tree: Any, rng: np.random.Generator) -> Any:
    """A JSON tree of which one value is another, is gone, or stands under another name."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.1:
        return HOSTILE[int(rng.integers(len(HOSTILE)))]
    keys = sorted(tree) if isinstance(tree, dict) else range(len(tree))
    key = keys[int(rng.integers(len(keys)))]
    new = dict(tree) if isinstance(tree, dict) else list(tree)
    kind = rng.random()
    if kind < 0.1:
        del new[key]
    elif kind < 0.15 and isinstance(new, dict):
        new["colour"] = new.pop(key)
    else:
        new[key] = mutated(new[key], rng)
    return new
