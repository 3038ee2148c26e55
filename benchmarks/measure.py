"""Timing that can be trusted, and how figures are written down.

Runs that are compared are timed in turns, round after round, and a ratio is the median of the rounds' ratios: what
slows the machine down for a while slows both. A run ends when its results are there. The first run of each, which
traces and compiles, is timed apart.
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

REST = 0.02  # seconds between two runs, until the threads of the first sleep
BRIEF = 20.0  # seconds; setups that take no longer all together are tried three times
SIDE = 2048  # of the matrices whose product shows how busy the machine is
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "transformers", "captum")
Run = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of one run a round, all warm."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def record(self) -> dict[str, float]:
        """Median, 10th and 90th percentile, in seconds."""
        low, high = np.percentile(self.times, [10, 90])
        return {"median": self.median, "p10": float(low), "p90": float(high)}


def seconds(run: Run) -> float:
    """Of one run, until its results are there."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def in_turns(runs: Mapping[str, Run], repeats: int, in_a_loop: bool = False) -> dict[str, Timing]:
    """Warm up, then time `repeats` rounds of all runs in turns.

    Args:
        runs: by name.
        repeats: rounds.
        in_a_loop: run each once untimed before it is timed. Runs of milliseconds need that: whatever ran in between has
            emptied the caches and put the threads to sleep.
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
    return {name: Timing(tuple(found)) for name, found in times.items()}


def fastest(setups: Mapping[str, Run]) -> tuple[str, float]:
    """The name of the setup that takes least time after a warm-up, and the seconds of its first run."""
    first = {name: seconds(run) for name, run in setups.items()}
    taken = {name: seconds(run) for name, run in setups.items()}
    for _ in range(2 if sum(taken.values()) < BRIEF else 0):
        taken = {name: min(taken[name], seconds(run)) for name, run in setups.items()}
    best = min(taken, key=taken.__getitem__)
    return best, first[best]


def times_faster(ours: Timing, theirs: Timing) -> float:
    """How many times faster `ours` is: median over the rounds of the quotient of the two."""
    return statistics.median(b / a for a, b in zip(ours.times, theirs.times, strict=True))


class Disagreement(SystemExit):
    """Two computations of the same thing differ: no speed is worth printing."""


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


def parser_for(module: str, text: str | None, timed: bool = True) -> argparse.ArgumentParser:
    """The parser of one benchmark: its question, `--json`, `--small`, and `--repeats` where time is `timed`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    if timed:
        parser.add_argument("--repeats", type=int, default=7, help="rounds of the timing")
    parser.add_argument("--small", action="store_true", help="a tiny model: does the benchmark itself work?")
    return parser


def report(arguments: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """Write the figures with their environment where `--json` says."""
    if arguments.json:
        text = json.dumps({"environment": environment(), **figures}, indent=1)
        pathlib.Path(arguments.json).write_text(text + "\n", encoding="utf-8")


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table."""
    print(f"\n{title}\n\n{table(rows)}", flush=True)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; its columns are the keys of the first row."""
    columns = list(rows[0])
    cells = [columns, *([shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells)


def shown(value: Any) -> str:
    """A figure as tables show it: three digits at least."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def environment() -> dict[str, Any]:
    """Machine, versions and settings that figures depend on."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "gigaflops": _gigaflops(),
        "devices": [str(device) for device in jax.devices()],
        "device_kind": jax.devices()[0].device_kind,
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "revision": revision(pathlib.Path(__file__).parent),
        "python": platform.python_version(),
        **installed,
    }


def revision(folder: str | os.PathLike) -> str:
    """What git calls the checkout at `folder`; empty where there is none."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def _gigaflops() -> float:
    """Rate of a large product: far below what the machine can do, the machine was busy with something else."""
    matrix = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    multiply = jax.jit(jnp.matmul)
    return 2e-9 * SIDE**3 / min(seconds(lambda: multiply(matrix, matrix)) for _ in range(5))


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or sys.platform
