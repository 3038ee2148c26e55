"""Training state on disk through Orbax: the newest two saves, resumed after a kill at any instant."""

import logging
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from audex_jax.core.errors import AudexError
from audex_jax.io.identity import claim


class TrainingCheckpoints:
    """Saves and restores one pytree of arrays a step. Context manager: leaving it waits for the save under way."""

    def __init__(self, directory: str | os.PathLike, identity: Mapping[str, Any]):
        """Open a folder of training states.

        Args:
            directory: the folder; it is made.
            identity: what the training depends on, a JSON object.

        Raises:
            AudexError: it holds the states of another training; says in what they differ.
        """
        keep = ocp.training.preservation_policies.LatestN(2)
        self.directory = directory = pathlib.Path(directory).resolve()
        claim(directory, identity, "a training")
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

        Raises:
            AudexError: the saved state is damaged or of another shape.
        """
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        if self._checkpointer.latest is None:
            return jax.device_put(initial(), place)
        wanted = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), jax.eval_shape(shape or initial)
        )
        try:
            found = self._checkpointer.load(abstract_state=wanted)
            same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, found, wanted)
        except Exception as error:  # whatever a library makes of a damaged file
            logging.getLogger(__name__).debug("%s cannot be restored", self.directory, exc_info=True)
            raise AudexError(self._unusable(type(error).__name__)) from error
        if not all(jax.tree.leaves(same)):
            raise AudexError(self._unusable("of another shape"))
        return found

    def _unusable(self, why: str) -> str:
        return f"{self.directory}: its training state cannot be read ({why}); delete this folder to begin again"

    def save(self, step: int, state: dict) -> None:
        self._checkpointer.save(step, state, overwrite=True)
