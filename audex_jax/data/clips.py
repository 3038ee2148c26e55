"""Many recordings into memory: read and resampled on threads, in the order asked for."""

import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from audex_jax.io.audio import read_audio
from audex_jax.io.progress import track


def read_clips(
    paths: Sequence[pathlib.Path], sample_rate: int, quiet: bool = False, seconds: float | None = None
) -> list[np.ndarray]:
    """Mono recordings `[n]` at `sample_rate`, one for each path; of each at most its first `seconds`.

    Raises:
        AudioError: names the first recording that cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clips = pool.map(lambda path: read_audio(path, sample_rate, seconds=seconds), paths)
        return list(track(clips, "reading recordings", len(paths), quiet))
