"""How much memory does the whole job take, ours and PyTorch's with Captum?

    python -m benchmarks.pipeline --parts memory

Resident memory, each side in a process of its own that imports nothing of the other, in the way that is fastest and in
the same with other batches; for ours also as it is left by a first run that compiles instead of reading the compilation
cache. `pipeline` writes weights, in either side's own format, and clips to a folder, and starts

    python -m benchmarks.memory ours|theirs FOLDER WAY
"""

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from audex_jax.explain.step import Model

POINTS = 50  # Captum's default


def of_both(weights: "Model", audio: np.ndarray, ways: Mapping[str, str], batches: Sequence[int]) -> list[dict]:
    """Ours and theirs in `ways`, as `pipeline` names them, and in the same ways with other batches."""
    from audex_jax.explain.explainer import Explainer, save_explainer
    from benchmarks import reference
    from benchmarks.measure import in_a_process_of_its_own

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        seconds = audio.shape[1] / weights.codec.config.sample_rate
        save_explainer(f"{folder}/ours", Explainer(weights, ("",), seconds, None), {})
        reference.export(weights, f"{folder}/theirs")
        np.save(f"{folder}/clips.npy", audio)
        cache = {"JAX_COMPILATION_CACHE_DIR": f"{folder}/cache", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for side, label in (("ours", "ours, compiled here"), ("ours", "ours, cached"), ("theirs", "theirs")):
            for batch in batches:
                way = with_batch(ways[side], batch)
                found = in_a_process_of_its_own("benchmarks.memory", side, folder, way, environment=cache)
                note = "fastest" if way == ways[side] else ""
                rows.append({"side": label, "how": way, "clips": len(audio)} | found | {"way": note})
    return rows


def with_batch(way: str, batch: int) -> str:
    """`way` with another batch, on devices among which that can be split, no more clips at a time through the codec.

    >>> with_batch("batch 8, 2 devices, chunk 5", 3), with_batch("batch 8, 100 rows, codec 4", 2)
    ('batch 3, 1 devices, chunk 5', 'batch 2, 100 rows, codec 2')
    """
    way = re.sub(r"^batch \d+", f"batch {batch}", way)
    way = re.sub(r"\d+(?= device)", lambda devices: str(math.gcd(int(devices[0]), batch)), way)
    return re.sub(r"(?<=codec )\d+", lambda clips: str(min(int(clips[0]), batch)), way)


def ours(folder: str, audio: np.ndarray, batch: int, devices: int, chunk: int) -> Callable[[], Any]:
    """Explains all clips."""
    import jax

    from audex_jax.devices.mapping import a_device_for_each_core
    from audex_jax.explain.explainer import load_explainer
    from benchmarks.pipeline import SAME, explain, in_batches

    a_device_for_each_core()
    step = explain(dataclasses.replace(SAME, chunk=chunk))
    run = in_batches(step, load_explainer(f"{folder}/ours").weights, audio, batch, devices)
    return lambda: jax.block_until_ready(run())


def theirs(folder: str, audio: np.ndarray, batch: int, rows: int, together: int) -> Callable[[], Any]:
    """Likewise."""
    from benchmarks import reference

    job = reference.load(f"{folder}/theirs")
    return functools.partial(job.in_batches, audio, batch, points=POINTS, rows=rows, together=together)


def peak_memory(run: Callable[[], Any]) -> dict[str, float]:
    """Megabytes resident before a warm run and at its peak, and its seconds; Linux only.

    Measure one framework a process: the other's libraries and buffers would count too.

    Args:
        run: returns when its results are there.
    """
    run()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, start = _status("VmRSS"), time.perf_counter()
    run()
    return {"before": before, "peak": _status("VmHWM"), "seconds": time.perf_counter() - start}


def _status(field: str) -> float:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=("ours", "theirs"))
    parser.add_argument("folder", help="weights and clips that `pipeline` wrote")
    parser.add_argument("way", help="batch, devices or rows, chunk or clips at a time: its first three numbers")
    arguments = parser.parse_args()
    numbers = [int(digits) for digits in re.findall(r"\d+", arguments.way)[:3]]
    side = {"ours": ours, "theirs": theirs}[arguments.side]
    run = side(arguments.folder, np.load(f"{arguments.folder}/clips.npy"), *numbers)
    print(json.dumps(peak_memory(run)))


if __name__ == "__main__":
    main()
