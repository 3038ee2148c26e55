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
            directory,  # pyright: ignore[reportArgumentType]
            preservation_policy=keep,  # pyright: ignore[reportArgumentType]
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "TrainingCheckpoints":
        return self

    def __exit__(self, *_) -> None:
        self._checkpointer.close()

    def restore(self, initial: Callable[[], dict], shape: Callable[[], dict] | None = None) -> dict:
        """The newest saved state, or `initial()` when there is none; either on the first device, for one compilation.

        Args:
            initial: makes the state to start from.
            shape: makes a state of the same shape and can be traced, where `initial` cannot.
        """
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        if self._checkpointer.latest is None:
            return jax.device_put(initial(), place)
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), jax.eval_shape(shape or initial)
        )
        return self._checkpointer.load(abstract_state=wanted)

    def save(self, step: int, state: dict) -> None:
        self._checkpointer.save(step, state, overwrite=True)
