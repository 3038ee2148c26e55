"""Devices and processes: the only file that names either.

A step is a pure function of (weights, batch) in which no clip sees another, so it needs no collective: weights are put
on every device once, the batch axis is split. Only this process's own devices take part; processes divide the clips
among them beforehand and never wait for one another.

On CPUs the programs of several devices share XLA's pool of threads, and each holds one of them. XLA (jaxlib 0.10.1 and
0.10.2) cuts large elementwise operations into a part for each core that its compiler may use, and offers the pool all
parts but the first. A thread that is never idle carries out the first, then finds the others done or does them, too;
what was offered stays in its queue. Once 1,024 of these fill the queue, Eigen carries out what is offered to it within
whatever it is doing, and convolutions return wrong numbers. So either nothing is cut (`a_device_for_each_core`), or the
pool has one thread more than there are devices, which empties the queues: importing this module, before JAX is first
used, sees to that. The thread costs a tenth of the speed, since it takes work from one core to the other.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from audex_jax.core.errors import AudexError

PARALLEL = ("auto", "pmap", "sharding")
AXIS = "batch"
FEW = 2  # clips at once where each device is a core; one alone is slower, more leave its cache
THREADS = pathlib.Path("/proc/self/task")  # Linux's list of this process's threads
UNDIVIDED = "--xla_cpu_multi_thread_eigen=false"  # marks a process in which XLA cuts no operation
WIDE = "--xla_cpu_prefer_vector_width=512"  # XLA's own choice, 256, makes a path of long clips take a tenth longer


class Mapped(NamedTuple):
    """A step on several devices; call it as `step(weights, place(batch))`.

    Attributes:
        step: takes a batch of arrays `[devices, b, ...]` and returns arrays `[devices, ...]`.
        weights: on every device; devices of a CPU share them.
        place: starts to bring host arrays `[devices * b, ...]` onto the devices, as `[devices, b, ...]`.
        devices: how many.
    """

    step: Callable[[Any, Any], Any]
    weights: Any
    place: Callable[[Any], Any]
    devices: int


def map_over_devices(
    step: Callable[[Any, Any], Any],
    weights: Any,
    parallel: str = "auto",
    devices: Sequence[Any] | None = None,
) -> Mapped:
    """Map `step(weights, batch)` over this process's devices, the batch's arrays split along their first axis.

    Args:
        step: pure function; what it computes for a clip must not depend on the others.
        weights: any pytree of arrays or numbers.
        parallel: `pmap` for `jax.pmap`; `sharding` for `jit` and `shard_map` of arrays that a `NamedSharding`
            splits; `auto` for `pmap` on several devices and `sharding` on one.
        devices: default: all of this process.

    Raises:
        ValueError: an unknown way.
        AudexError: several devices of a CPU would hold every thread of XLA's pool; JAX was used, or told their number,
            before this module was imported.

    >>> double = map_over_devices(lambda weights, batch: weights * batch, 2.0, devices=jax.local_devices()[:1])
    >>> double.step(double.weights, double.place(np.ones((3, 2), np.float32))).shape
    (1, 3, 2)
    """
    if parallel not in PARALLEL:
        raise ValueError(f"no way {parallel!r} to use several devices; choose one of {', '.join(PARALLEL)}")
    devices = list(devices or jax.local_devices())
    must_leave_a_thread(devices)
    count = len(devices)
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    everywhere, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))

    def place(batch: Any) -> Any:
        return jax.device_put(jax.tree.map(lambda a: a.reshape(count, -1, *a.shape[1:]), batch), split)

    if parallel == "pmap" or (parallel == "auto" and count > 1):
        mapped = jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), devices=devices)
    else:
        # shard_map, so that nothing can move clips: a compiler that splits the whole program by itself would have to,
        # where a step joins batches, and would let devices wait for one another in a loop that ends when all are done.
        def part(weights: Any, batch: Any) -> Any:
            return jax.tree.map(lambda a: a[None], step(weights, jax.tree.map(lambda a: a[0], batch)))

        specs = {"in_specs": (PartitionSpec(), PartitionSpec(AXIS)), "out_specs": PartitionSpec(AXIS)}
        mapped = jax.jit(jax.shard_map(part, mesh=mesh, check_vma=False, **specs))
    if devices[0].platform == "cpu":
        weights = jax.tree.map(np.asarray, weights)  # which its devices take as they are: all share one copy
    return Mapped(_giving_back(mapped), jax.device_put(weights, everywhere), place, count)


def _giving_back(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`step`, after which, whenever it was compiled for new shapes, the process has no more memory than it uses.

    Tracing and compiling frees some hundred megabytes that glibc would keep from the operating system.
    """
    compiled: set[Any] = set()

    def run(weights: Any, batch: Any) -> Any:
        result = step(weights, batch)
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch))
        if shapes not in compiled:
            compiled.add(shapes)
            with contextlib.suppress(AttributeError, TypeError):  # another C library than glibc
                ctypes.CDLL(None).malloc_trim(0)
        return result

    return run


def a_device_for_each_core() -> None:
    """Start JAX with each core of this machine's CPU as a device, unless that is settled or a device is in use.

    Two devices of one core each explain a batch a quarter faster than one that uses both (`benchmarks/NOTES.md`). For
    accelerators nothing changes.
    """
    if not _devices_told():
        with contextlib.suppress(RuntimeError):  # JAX's, if it has started already
            jax.config.update("jax_num_cpu_devices", _cores())
            if not os.environ.get("PJRT_NPROC") and _start_undivided():
                return
    _leave_a_thread_to_spare()


def few_at_a_time(step: Callable[[Any], Any], batch: Any, few: int = FEW) -> Any:
    """`step(batch)`, and where every device is a core of a CPU `few` clips after the other: they stay in its cache.

    Args:
        step: what it computes for a clip must not depend on the others.
        batch: arrays `[b, ...]`.
        few: clips at once; where it does not divide b, the next smaller number above its half that does, or else b.

    Returns:
        What `step` returns for the whole batch, arrays `[b, ...]`.

    >>> few_at_a_time(lambda clips: 2 * clips, jax.numpy.arange(4)).tolist()
    [0, 2, 4, 6]
    """
    (clips,) = {len(leaf) for leaf in jax.tree.leaves(batch)}
    few = next((count for count in range(few, few // 2, -1) if clips % count == 0), clips)
    if few >= clips or not each_core_is_a_device():
        return step(batch)
    parts = jax.lax.map(step, jax.tree.map(lambda leaf: leaf.reshape(-1, few, *leaf.shape[1:]), batch))
    return jax.tree.map(lambda leaf: leaf.reshape(clips, *leaf.shape[2:]), parts)


def each_core_is_a_device() -> bool:
    """Does this process run on a CPU of which every core is a device?"""
    return jax.default_backend() == "cpu" and jax.local_device_count() >= _cores()


def _start_undivided() -> bool:
    """Start JAX so that XLA cuts no operation: the threads that compile may use one core, as who starts them.

    The threads that work get all cores back. The flag `UNDIVIDED`, which XLA reads but no longer heeds, keeps apart
    what is in compilation caches: programs with operations cut must not be taken from there. `WIDE` is set unless the
    environment chose a width; processors with shorter vectors use theirs. False, and nothing is started, where a
    process may not choose its cores or list its threads.
    """
    try:
        cores, before = os.sched_getaffinity(0), set(os.listdir(THREADS))
        os.sched_setaffinity(0, {min(cores)})
    except (AttributeError, OSError):  # not Linux, or a container that forbids it
        return False
    told = os.environ.get("XLA_FLAGS", "")
    wide = [] if WIDE.split("=")[0] in told else [WIDE]
    os.environ["XLA_FLAGS"] = " ".join([told, UNDIVIDED, *wide]).strip()
    try:
        backend = jax.default_backend()
    finally:
        os.sched_setaffinity(0, cores)
    started = set(os.listdir(THREADS)) - before
    for thread in (_pool() & started if backend == "cpu" else started) or started:
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            os.sched_setaffinity(int(thread), cores)
    return True


@functools.cache
def _cuts_operations() -> bool:
    """Does XLA cut a large elementwise operation into parts? Asked of a program; once JAX has started."""
    program = jax.jit(jax.numpy.exp).lower(jax.ShapeDtypeStruct((1 << 22,), "float32")).compile()
    return 'outer_dimension_partitions":["' in (program.as_text() or "")


def _pool() -> set[str]:
    """Threads of XLA's pool; Linux tells them by name, elsewhere none are found."""
    found = set()
    for name in THREADS.glob("*/comm"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            if name.read_text().startswith("tf_XLAEigen"):
                found.add(name.parent.name)
    return found


def _threads_told() -> int:
    """Threads that the environment, or else the machine, gives XLA's pool before there are more devices."""
    told = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC") or str(_cores())
    return int(told) if told.isdecimal() else 0


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices_told() -> int:
    """Devices of the CPU that the environment or the configuration asks for; 0 where neither does."""
    by_flag = re.findall(r"host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    configured: int = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
    return max(configured, 0) or int(by_flag[-1] if by_flag else 0)


def _leave_a_thread_to_spare() -> None:
    """Let XLA's pool have more threads than it is told to have devices; without effect once JAX has started."""
    if devices := _devices_told():
        os.environ["PJRT_NPROC"] = str(max(_threads_told(), devices + 1))


def must_leave_a_thread(devices: Sequence[Any]) -> None:
    """Ask before several devices work together.

    Raises:
        AudexError: they are of a CPU, and would hold every thread of XLA's pool; see the top.
    """
    count = len(devices)
    if count < 2 or devices[0].platform != "cpu":
        return
    threads = len(_pool()) or _threads_told()
    marked = UNDIVIDED in os.environ.get("XLA_FLAGS", "")  # others may find programs with operations cut in caches
    if threads <= count and (not marked or _cuts_operations()):
        raise AudexError(
            f"{count} devices of this CPU would hold all {threads} threads of XLA's pool, and XLA then returns wrong "
            "numbers; import audex_jax.devices.mapping before JAX is first used, or set JAX_NUM_CPU_DEVICES in the "
            f"environment instead of jax.config, or PJRT_NPROC={count + 1}"
        )


if UNDIVIDED in os.environ.get("XLA_FLAGS", ""):  # of the process that started this one
    os.environ["XLA_FLAGS"] = os.environ["XLA_FLAGS"].replace(UNDIVIDED, "")
_leave_a_thread_to_spare()


def leave_accelerators() -> None:
    """Leave this machine's accelerators to other processes; call it before anything else touches a device."""
    jax.config.update("jax_platforms", "cpu")


def join_processes(
    coordinator: str | None = None, count: int | None = None, index: int | None = None
) -> tuple[int, int]:
    """Meet the other processes of a job through `jax.distributed`; call it before anything else touches a device.

    The processes meet to learn who is which, and part at once: after this none waits for another, and the end of one,
    process 0 included, does not end the others.

    Args:
        coordinator: `host:port` of process 0. None lets JAX find out (Cloud TPU, SLURM, Kubernetes, Open MPI).
        count, index: number of processes, and which one this is; likewise.

    Returns:
        Index of this process and number of processes.

    Raises:
        ValueError: JAX recognises no cluster, or the numbers do not fit.
    """
    jax.distributed.initialize(coordinator, count, index)
    found = jax.process_index(), jax.process_count()
    jax.distributed.shutdown()
    return found
