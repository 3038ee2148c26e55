"""Recordings read and decoded, by grain's threads: in order, read ahead, none able to stop the others.

Threads do: files, decoder and resampler leave Python free. A job says what share of the time its devices waited.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

import grain
import numpy as np

from audex_jax.core.errors import shown
from audex_jax.data.sources import is_record, read_record
from audex_jax.io.audio import AudioError, read_recording
from audex_jax.io.remote import StoreError


class Recording(NamedTuple):
    """One recording: its samples `[n]` or `[n, c]`, or why there are none; and what it says about itself."""

    index: int
    samples: np.ndarray | None
    error: str | None
    known: dict[str, str]


def read_recordings(
    paths: Sequence[str], sample_rate: int, channels: int, workers: int, ahead: int = 16
) -> Generator[Recording, None, None]:
    """Read and decode recordings on `workers` threads; decoder and resampler leave Python free meanwhile.

    Args:
        paths: the recordings: files, records in files, or addresses in an object store.
        sample_rate, channels: what the explainer takes.
        workers: threads.
        ahead: recordings that are read before they are asked for.

    Yields:
        A `Recording` for each path, in order.

    Raises:
        StoreError: an object store cannot be read, which says nothing about the recordings.
    """

    def read(index: int) -> Recording:
        path = paths[index]
        try:
            if is_record(path):
                return Recording(index, *read_record(path, sample_rate, channels))
            return Recording(index, read_recording(path, sample_rate, channels), None, {})
        except AudioError as error:
            return Recording(index, None, str(error).removeprefix(f"{shown(path)}: "), {})
        except StoreError:
            raise
        except Exception as error:  # whatever a decoder makes of a broken file: one clip is lost, and not the job
            return Recording(index, None, shown(f"{type(error).__name__}: {error}"), {})

    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=max(ahead, workers))
    recordings = iter(grain.MapDataset.range(len(paths)).map(read).to_iter_dataset(options))
    try:
        yield from recordings
    finally:
        recordings.close()
