"""Honest timing: finished results only, warmed up, taken in turns; and what the machine itself can do.

Things that are compared are timed in turns within one process, round after round, and compared round by round: what
slows the machine down for a while slows both. The machine's own ceiling, a large product and a large copy, takes its
turn among them.
"""

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

REST = 0.02  # seconds between two runs, for the threads of the one before, which spin for a while, to go to sleep
BRIEF = 20.0  # seconds that a round of all ways may take, to be repeated
SIDE = 2048  # of the matrices of the ceiling
COPIED = 2**28  # bytes of its copy
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers", "captum")


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one thing, one warm run a round."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def record(self) -> dict[str, float]:
        """Median, 10th and 90th percentile, in seconds."""
        low, high = np.percentile(self.times, [10, 90])
        return {"median": self.median, "p10": float(low), "p90": float(high)}


def in_turns(runs: Mapping[str, Callable[[], Any]], repeats: int = 7, in_a_loop: bool = False) -> dict[str, Timing]:
    """Warm up, and then time `repeats` rounds of all runs in turns; what they return is waited for.

    With `in_a_loop` every timed run follows an untimed one of its own kind, as in a loop over clips. Runs of
    milliseconds need that: whatever ran in between has emptied the caches and put threads to sleep.
    """
    for run in runs.values():
        seconds(run)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            time.sleep(REST)
            if in_a_loop:
                seconds(run)
            times[name].append(seconds(run))
    return {name: Timing(tuple(times[name])) for name in runs}


def fastest(ways: Mapping[str, Callable[[], Any]]) -> tuple[str, float]:
    """The one of several ways that takes least time, tried after a warm-up, and the seconds of its first run.

    The first run traces and compiles. Ways that all together are brief are tried in three rounds: machines waver.
    """
    cold = {name: seconds(way) for name, way in ways.items()}
    taken = {name: seconds(way) for name, way in ways.items()}
    for _ in range(2 if sum(taken.values()) < BRIEF else 0):
        taken = {name: min(taken[name], seconds(way)) for name, way in ways.items()}
    best = min(taken, key=taken.__getitem__)
    return best, cold[best]


def seconds(run: Callable[[], Any]) -> float:
    """Of one run, until its results are there."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def times_faster(ours: Timing, theirs: Timing) -> float:
    """How many times faster `ours` is: median over the rounds of the quotient of the two."""
    return statistics.median(b / a for a, b in zip(ours.times, theirs.times, strict=True))


def product() -> Callable[[], Any]:
    """The ceiling of arithmetic: a product of two square matrices by the fastest library at hand."""
    ours = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    multiply = jax.jit(jnp.matmul)
    array = np.asarray(ours)
    ways: list[Callable[[], Any]] = [lambda: multiply(ours, ours), lambda: array @ array]
    if "torch" in sys.modules:
        tensor = sys.modules["torch"].from_numpy(array.copy())
        ways.append(lambda: tensor @ tensor)
    for way in ways:
        seconds(way)
    return min(ways, key=lambda way: min(seconds(way) for _ in range(3)))


def copy() -> Callable[[], Any]:
    """The ceiling of memory: a copy that is far larger than the caches; it reads and writes `COPIED` bytes each."""
    source = np.ones(COPIED // 4, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def ceiling(found: Mapping[str, Timing]) -> dict[str, float]:
    """Rates of what `product` and `copy` took in the rounds of `found`, under these names."""
    return {
        "gigaflops": 2e-9 * SIDE**3 / found["product"].median,
        "copy_gigabytes": 2e-9 * COPIED / found["copy"].median,
    }


def share_of_ceiling(flops: float, found: Timing, machine: Timing) -> float:
    """Arithmetic done a second as a share of what the product does, round by round."""
    per_second = 2.0 * SIDE**3 / flops
    return statistics.median(m / t for t, m in zip(found.times, machine.times, strict=True)) / per_second


def in_a_process_of_its_own(module: str, *words: str, environment: Mapping[str, str] | None = None) -> Any:
    """What `python -m module words` prints as its last line, as JSON."""
    command = [sys.executable, "-m", module, *words]
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    return json.loads(done.stdout.splitlines()[-1])


def environment() -> dict[str, Any]:
    """Machine, versions and settings that figures depend on."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "devices": [str(device) for device in jax.devices()],
        "device_kind": jax.devices()[0].device_kind,
        "torch_threads": torch.get_num_threads() if torch else None,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "revision": _revision(),
        "python": platform.python_version(),
        **installed,
    }


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _revision() -> str:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip()


def parser_for(module: str, text: str | None) -> argparse.ArgumentParser:
    """The parser of one benchmark: its question, `--json`, `--repeats` and `--small`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--repeats", type=int, default=7, help="rounds of the timing")
    parser.add_argument("--small", action="store_true", help="next to no arithmetic: does the benchmark itself work?")
    return parser


def report(arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Write the figures with their environment where `--json` says."""
    if arguments.json:
        text = json.dumps({"environment": environment(), **figures}, indent=1)
        pathlib.Path(arguments.json).write_text(text + "\n", encoding="utf-8")


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table; its columns are the keys of the first row."""
    columns = list(rows[0])
    cells = [columns, *([shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    print(f"\n{title}")
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    sys.stdout.flush()


def shown(value: Any) -> str:
    """A figure as tables show it: three or four digits."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Disagreement(SystemExit):
    """Two ways to the same result that differ: no speed is worth printing."""


def must_agree(what: str, ours: Any, theirs: Any, tolerance: float) -> float:
    """Largest difference as a share of the largest value of `theirs`.

    Raises:
        Disagreement: it is above `tolerance`.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    error = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not error <= tolerance:
        raise Disagreement(f"{what} differ by {error:.1e} of their largest value, above {tolerance:.0e}: no speeds")
    return error
