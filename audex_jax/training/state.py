"""Training state on disk through Orbax: the newest two saves, resumed after a kill at any instant."""

import os
import pathlib
from collections.abc import Callable

import jax
from orbax.checkpoint import v1 as ocp


class TrainingCheckpoints:
    """Saves and restores one pytree of arrays a step. Context manager: leaving it waits for the save under way."""

    def __init__(self, directory: str | os.PathLike):
        keep = ocp.training.preservation_policies.LatestN(2)
        directory = pathlib.Path(directory).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        self._checkpointer = ocp.training.Checkpointer(
            directory, preservation_policy=keep, cleanup_tmp_directories=True
        )

    def __enter__(self) -> "TrainingCheckpoints":
        return self

    def __exit__(self, *_) -> None:
        self._checkpointer.close()

    def restore(self, initial: Callable[[], dict]) -> dict:
        """The newest saved state, or `initial()` when there is none."""
        if self._checkpointer.latest is None:
            return initial()
        return self._checkpointer.load(abstract_state=jax.eval_shape(initial))

    def save(self, step: int, state: dict) -> None:
        self._checkpointer.save(step, state, overwrite=True)
