"""A run as TensorBoard shows it: scalars, sounds and figures. Optional, through tensorboardX; no TensorFlow."""

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.core.level import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RunLog:
    """Writes one event file into a folder; without a folder it writes nothing. Context manager.

    A run that goes on after a kill starts another file; TensorBoard joins them.
    """

    def __init__(self, folder: str | None):
        """Nothing is written yet, so that a command that fails at once leaves nothing behind.

        Args:
            folder: for `tensorboard --logdir`; None logs nothing.

        Raises:
            AudexError: tensorboardX is not installed.
        """
        self.folder, self._writer = folder, None
        if folder is not None and importlib.util.find_spec("tensorboardX") is None:
            raise AudexError("--tensorboard needs tensorboardX: pip install 'audex-jax[tensorboard]'")

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_) -> None:
        if self._writer is not None:
            self._writer.close()

    @property
    def writer(self) -> Any:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(self.folder)
        return self._writer

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One number for each name; those that are not finite are left out."""
        if self.folder is not None:
            for name, value in values.items():
                if np.isfinite(value):
                    self.writer.add_scalar(name, value, step)

    def sound(self, name: str, step: int, samples: np.ndarray, sample_rate: int) -> None:
        """A sound `[n]` or `[n, c]`; one beyond full scale is brought below it."""
        if self.folder is not None:
            channels = samples[:, None] if samples.ndim == 1 else samples
            self.writer.add_audio(name, within(channels)[0], step, sample_rate=sample_rate)

    def figure(self, name: str, step: int, figure: "Figure") -> None:
        """A picture."""
        if self.folder is not None:
            figure.canvas.draw()
            pixels = np.asarray(figure.canvas.buffer_rgba())  # pyright: ignore[reportAttributeAccessIssue]
            self.writer.add_image(name, pixels[..., :3], step, dataformats="HWC")
