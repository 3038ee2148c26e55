"""Which of a job's processes this is, and how it is told to stop."""

import argparse
import contextlib
import signal
from collections.abc import Iterator

from audex_jax.cli import UsageError


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who does the work."""
    add = parser.add_argument_group("processes").add_argument
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="what runs the processes: this command, or Ray (default: local)",
    )
    add("--actors", type=int, default=0, metavar="N", help="actors of --engine ray (default: one for each accelerator)")
    add(
        "--distributed",
        action="store_true",
        help="call jax.distributed.initialize; on Cloud TPU and SLURM it finds the other processes",
    )
    add(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, for jax.distributed.initialize where it finds nothing itself",
    )
    add("--num-processes", type=int, metavar="N", help="number of processes of the job")
    add("--process-id", type=int, metavar="I", help="number of this process, from 0; overrides what JAX says")


def join(arguments: argparse.Namespace) -> tuple[int, int]:
    """Which process this is, and of how many; joins the others if that is asked for. Touches no device before.

    Raises:
        UsageError: the options contradict each other, or the others cannot be joined.
    """
    index, count = arguments.process_id, arguments.num_processes
    joined = arguments.distributed or arguments.coordinator
    if arguments.actors < 0 or (arguments.actors and arguments.engine != "ray"):
        raise UsageError("--actors: how many actors of --engine ray; at least 1")
    if arguments.engine == "ray" and (joined or count is not None):
        raise UsageError("--engine ray divides the work itself; leave out --distributed and the like")
    if (index is None) != (count is None):
        raise UsageError("--num-processes and --process-id go together")
    if index is not None and count is not None and not 0 <= index < count:
        raise UsageError(f"--process-id {index}: with --num-processes {count} it is one of 0 to {count - 1}")
    if joined:
        from audex_jax.devices.mapping import join_processes

        try:
            return join_processes(arguments.coordinator, count, index)
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"cannot join the other processes: {error}") from None
    return (0, 1) if index is None or count is None else (index, count)


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """A list to which SIGTERM and SIGINT are added instead of breaking in, perhaps in the middle of a file."""
    stopped: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda number, frame: stopped.append(number)) for number in numbers]
    try:
        yield stopped
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
