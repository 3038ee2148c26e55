"""CPU devices: each core as a device of its own, and the spare thread that XLA:CPU needs then.

Programs of several CPU devices share one thread pool, and each holds a thread of it. If they hold all of them, tasks
that XLA has queued stay in the queue. Once it holds 1,024, Eigen runs new tasks within the one that is running, and
convolutions return wrong numbers (jaxlib 0.10.1 and 0.10.2; `benchmarks/xla_cpu_thread_pool.md` reproduces it). One
thread more than devices keeps the queue empty. The environment variable `PJRT_NPROC` sets the number of threads when
JAX starts.
"""

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import jax

from audex_jax.core.errors import AudexError


def use_each_core_as_a_device() -> None:
    """Start JAX with each CPU core as a device and a spare thread; without effect once JAX has started.

    For programs that own the process, such as the command line: it sets `PJRT_NPROC`. `JAX_NUM_CPU_DEVICES` in the
    environment is kept. Accelerators are not affected.
    """
    devices = max(_configured(), 0) or cores()
    with contextlib.suppress(RuntimeError):  # one of these is a change, which JAX refuses once it has started
        jax.config.update("jax_num_cpu_devices", -1)
        jax.config.update("jax_num_cpu_devices", devices)
        os.environ["PJRT_NPROC"] = str(max(_threads(), devices + 1))


def must_leave_a_thread(devices: Sequence[Any]) -> None:
    """Check that XLA's pool has more threads than there are CPU devices which work at the same time.

    Raises:
        AudexError: it has not, and results would be wrong.
    """
    count = len(devices)
    if count > 1 and devices[0].platform == "cpu" and _threads() <= count:
        raise AudexError(
            f"{count} CPU devices would use all {_threads()} threads of XLA's pool, and XLA then returns wrong "
            f"numbers; set PJRT_NPROC={count + 1} in the environment before Python starts, or call "
            "audex_jax.devices.cpu.use_each_core_as_a_device() before JAX is first used"
        )


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _configured() -> int:
    """CPU devices that the environment or the program asks JAX for; -1 where neither does."""
    return jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]


def _threads() -> int:
    """Threads of XLA's pool, where they are not fewer than the devices."""
    told = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC") or str(cores())
    return int(told) if told.isdecimal() else 0
