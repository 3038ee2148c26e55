"""A pure step on all devices of this process, and several processes for one job.

A step is a function of (weights, batch) in which no clip depends on another, so it needs no collective: the weights are
copied to every device once, the batch is split along its first axis. Only this process's devices take part; processes
divide the clips beforehand and never wait for one another.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from audex_jax.core.errors import AudexError
from audex_jax.devices.cpu import must_leave_a_thread

PARALLEL = ("auto", "pmap", "shard_map")
AXIS = "batch"
FEW = 2  # clips at once on a device that is a CPU core: their activations stay in its cache

Step = Callable[[Any, Any], Any]


class Mapped(NamedTuple):
    """A step on several devices; call it as `step(weights, place(batch))`.

    Attributes:
        step: takes a batch of arrays `[devices, b, ...]` and returns arrays `[devices, b, ...]`.
        weights: on every device; CPU devices share one copy.
        place: starts to copy host arrays `[devices * b, ...]` to the devices, as `[devices, b, ...]`.
        devices: number of devices.
    """

    step: Step
    weights: Any
    place: Callable[[Any], Any]
    devices: int


def map_over_devices(
    step: Step,
    weights: Any,
    parallel: str = "auto",
    devices: Sequence[Any] | None = None,
    micro_batch: int | None = None,
) -> Mapped:
    """Map `step(weights, batch)` over this process's devices, the batch's arrays split along their first axis.

    Args:
        step: pure function; batch and result are pytrees of arrays `[b, ...]`, and no clip depends on another.
        weights: any pytree of arrays or numbers.
        parallel: `pmap` for `jax.pmap`; `shard_map` for `jax.shard_map` within `jax.jit`; `auto` for `pmap` on several
            devices and `shard_map` on one.
        devices: default: all of this process.
        micro_batch: clips that a device takes through the step at once, see `in_parts`. Default: 2 on several CPU
            devices, the whole batch elsewhere. Results are the same up to rounding.

    Raises:
        AudexError: an unknown `parallel`; several CPU devices without a spare thread (`cpu.must_leave_a_thread`).

    >>> double = map_over_devices(lambda weights, batch: weights * batch, 2.0, devices=jax.local_devices()[:1])
    >>> double.step(double.weights, double.place(np.ones((3, 2), np.float32))).shape
    (1, 3, 2)
    """
    if parallel not in PARALLEL:
        raise AudexError(f"no parallel {parallel!r}; choose one of {', '.join(PARALLEL)}")
    devices = list(devices or jax.local_devices())
    must_leave_a_thread(devices)
    count, on_cpu = len(devices), devices[0].platform == "cpu"
    if micro_batch is None and on_cpu and count > 1:
        micro_batch = FEW
    step = in_parts(step, micro_batch)
    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    everywhere, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))

    def place(batch: Any) -> Any:
        return jax.device_put(jax.tree.map(lambda a: a.reshape(count, -1, *a.shape[1:]), batch), split)

    mapped = mapped_step(step, parallel, devices)
    if on_cpu:
        weights = jax.tree.map(np.asarray, weights)  # CPU devices use host arrays without a copy
    return Mapped(mapped, jax.device_put(weights, everywhere), place, count)


def mapped_step(step: Step, parallel: str, devices: Sequence[Any]) -> Callable[[Any, Any], Any]:
    """The function of `Mapped.step` alone, which can also be compiled for devices that are not here."""
    if parallel == "pmap" or (parallel == "auto" and len(devices) > 1):
        return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), devices=devices)

    # Not `jit` alone: its partitioner would gather clips where a step joins arrays of the batch, and would make
    # devices wait for one another in loops whose length depends on the data.
    def part(weights: Any, batch: Any) -> Any:
        return jax.tree.map(lambda a: a[None], step(weights, jax.tree.map(lambda a: a[0], batch)))

    mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
    specs = {"in_specs": (PartitionSpec(), PartitionSpec(AXIS)), "out_specs": PartitionSpec(AXIS)}
    return jax.jit(jax.shard_map(part, mesh=mesh, check_vma=False, **specs))


def in_parts(step: Step, micro_batch: int | None) -> Step:
    """`step`, by `jax.lax.map` over equal parts of the batch; activations of one part are in memory at once.

    Args:
        step: as in `map_over_devices`.
        micro_batch: clips in a part. Where it does not divide the batch, the next smaller number above its half that
            does; where there is none, or for None, the batch stays whole.

    >>> in_parts(lambda weights, clips: weights * clips, 2)(3, jax.numpy.arange(4)).tolist()
    [0, 3, 6, 9]
    """
    if micro_batch is None:
        return step

    def run(weights: Any, batch: Any) -> Any:
        clips = len(jax.tree.leaves(batch)[0])
        few = next((n for n in range(micro_batch, micro_batch // 2, -1) if clips % n == 0), clips)
        if few == clips:
            return step(weights, batch)
        parts = jax.tree.map(lambda a: a.reshape(-1, few, *a.shape[1:]), batch)
        found = jax.lax.map(lambda part: step(weights, part), parts)
        return jax.tree.map(lambda a: a.reshape(clips, *a.shape[2:]), found)

    return run


def leave_accelerators() -> None:
    """Leave this machine's accelerators to other processes; call it before anything else uses a device."""
    jax.config.update("jax_platforms", "cpu")


def join_processes(
    coordinator: str | None = None, count: int | None = None, index: int | None = None
) -> tuple[int, int]:
    """Meet the other processes of a job through `jax.distributed`; call it before anything else uses a device.

    The processes only learn which one each is. After this none waits for another, and the end of one, process 0
    included, does not end the others.

    Args:
        coordinator: `host:port` of process 0. None lets JAX find it (Cloud TPU, SLURM, Kubernetes, Open MPI).
        count, index: number of processes, and the number of this one from 0; None as for `coordinator`. Given ones
            stand, whatever JAX says: where one controller drives all devices (Pathways), JAX knows a single process.

    Returns:
        Index of this process and number of processes.

    Raises:
        ValueError: JAX finds no cluster, or the numbers do not fit.
    """
    jax.distributed.initialize(coordinator, count, index)
    found = jax.process_index(), jax.process_count()
    jax.distributed.shutdown()
    return found if index is None or count is None else (index, count)
