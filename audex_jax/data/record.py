"""What every kind of input gives: a list of recordings, and each of them when it is asked for."""

from typing import NamedTuple

import numpy as np

from audex_jax.core.errors import shown
from audex_jax.io.audio import AudioError, decode_audio, of_length


class Listed(NamedTuple):
    """Recordings of one input.

    Attributes:
        addresses: where each is: a file, or a record in one.
        names: what each is called in the input, which its id is made of.
        labels: what each is said to be; None where the list does not say.
        ids: unique ones that the input itself gives; None if it does not.
    """

    addresses: list[str]
    names: list[str]
    labels: list[str | None]
    ids: list[str] | None = None


class Record(NamedTuple):
    """One recording: its samples, or why there are none; and what it says about itself, `label` and `path`."""

    samples: np.ndarray | None
    error: str | None
    known: dict[str, str]


def record_of(content: bytes, sample_rate: int, channels: int, known: dict[str, str], name: str) -> Record:
    """The recording that the bytes of a file hold, called `name` in errors."""
    try:
        return Record(of_length(decode_audio(content, sample_rate, channels, name), sample_rate, name), None, known)
    except AudioError as error:
        return Record(None, str(error).removeprefix(f"{shown(name)}: "), known)
