"""One side of `pipeline` in a process of its own: this checkout, another one, or PyTorch.

Each side imports nothing of the others, keeps what it compiled, and works only while it is asked to: so its memory is
its own, and runs can take turns. A `Side` starts this file and talks to it in lines of JSON:

    {"setup": {...}}    how to explain the clips of FOLDER from now on
    {"run": ""}         explain all of them; the answer comes when the results are there
    {"run": FILE}       likewise, and write the results to FILE (.npz)
    {"memory": ""}      explain all of them again, and answer the MB that were resident at most

An older checkout is measured through what both have: `load_explainer`, `Settings`, `batch.stream`.
"""

import contextlib
import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__).resolve()
# what makes each core a device, in this revision and in older ones
DEVICES = {"audex_jax.devices.cpu": "use_each_core_as_a_device", "audex_jax.parallel": "a_device_for_each_core"}
ROWS, TOGETHER = (50, 100, 200), (4, 8)  # for PyTorch: points times clips at a time, clips at a time in the codec
Explain = Callable[[], Mapping[str, Any]]


class Side:
    """A process that explains the clips in a folder; `checkout` says whose `audex_jax` and `benchmarks` it imports."""

    def __init__(self, kind: str, folder: pathlib.Path, checkout: pathlib.Path = HERE.parents[1]):
        """Start it.

        Args:
            kind: `audex` or `torch`.
            folder: holds `clips.npy`, and the model as `pipeline` wrote it.
            checkout: folder of a repository.
        """
        variables = os.environ | {
            "PYTHONPATH": str(checkout),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, "-P", str(HERE), kind, str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables)

    def ask(self, **order: Any) -> Any:
        """The answer to one order.

        Raises:
            SystemExit: the process ended; its own message stands above.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{' '.join(self.process.args[2:])} ended early")  # pyright: ignore[reportIndexIssue, reportCallIssue, reportArgumentType]
        return json.loads(answer)

    def run(self, setup: Mapping[str, Any], results: str = "") -> None:
        """Explain all clips in one setup."""
        self.ask(setup=setup)
        self.ask(run=results)

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def sizes_to_try(sizes: Sequence[int], seconds: float, most: int) -> list[int]:
    """How many at a time: `sizes` for clips of a second, fewer as they are longer, 1 at least and `most` at most."""
    return sorted({min(max(1, round(size / max(1.0, seconds))), most) for size in sizes})


def audex(folder: str) -> Callable[..., Explain]:
    """How the package explains; a setup has `batch`, the clips of one step, and `settings`."""
    import audex_jax
    from audex_jax.batch.stream import Clip, explain_stream, on_devices

    use_each_core_as_a_device()
    explainer = audex_jax.load_explainer(f"{folder}/model")
    clips = np.load(f"{folder}/clips.npy")
    mapped = functools.cache(lambda settings: on_devices(explainer, settings))

    def prepare(batch: int, settings: Mapping[str, Any]) -> Explain:
        chosen = audex_jax.Settings(**settings)

        def explain() -> dict[str, Any]:
            items = (Clip(number, clip) for number, clip in enumerate(clips))
            step = mapped(chosen)
            parts = explain_stream(explainer, step, items, chosen, batch=max(1, batch // step.devices))
            found: list[Any] = [
                e for _, e in sorted((pair for part in parts for pair in part), key=lambda pair: pair[0])
            ]
            rows = {name: [getattr(e, name) for e in found] for name in ("attribution", "mask")}
            rows["probabilities"] = [[e.probabilities[label] for label in explainer.labels] for e in found]
            for name in ("reconstruction", "audio"):
                rows[name] = [getattr(e, name).reshape(clips.shape[1:]) for e in found]
            return rows

        return explain

    return prepare


def use_each_core_as_a_device() -> None:
    """Start JAX as the command line does, in this revision or an older one."""
    for module, name in DEVICES.items():
        with contextlib.suppress(ModuleNotFoundError):
            return getattr(importlib.import_module(module), name)()
    raise SystemExit("this checkout has no function that makes each core a device")


def torch(folder: str) -> Callable[..., Explain]:
    """How PyTorch explains; a setup has the arguments of `reference.Job.in_batches`, and `compiled`."""
    from benchmarks import reference

    clips = np.load(f"{folder}/clips.npy")
    job = functools.cache(lambda compiled: reference.Job(folder, compiled=compiled))

    def prepare(compiled: bool, **setup: Any) -> Explain:
        return lambda: job(compiled).in_batches(clips, **setup)

    return prepare


def peak_memory(explain: Explain) -> float:
    """Megabytes resident at most during a second run; Linux only."""
    explain()
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    explain()
    return resident("VmHWM")


def resident(field: str) -> float:
    """Megabytes of this process: `VmRSS` now, `VmHWM` at most so far; Linux only."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def answer(orders: Any, answers: Any, prepare: Callable[..., Explain]) -> None:
    """Carry out orders until there are no more."""
    prepared: dict[str, Explain] = {}
    explain: Explain = dict
    for line in orders:
        ((order, value),) = json.loads(line).items()
        reply: Any = "done"
        if order == "setup":
            explain = prepared.setdefault(json.dumps(value), prepare(**value))
        elif order == "run":
            results = explain()
            if value:
                np.savez(value, **results)
        else:
            reply = peak_memory(explain)
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    answer(sys.stdin, answers, {"audex": audex, "torch": torch}[sys.argv[1]](sys.argv[2]))
