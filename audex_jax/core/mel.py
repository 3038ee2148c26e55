"""Mel filters."""

import functools

import numpy as np


@functools.cache
def mel_filters(bins: int, bands: int, sample_rate: int) -> np.ndarray:
    """Triangles on the mel scale of O'Shaughnessy (2595 log10(1 + f / 700)), each with unit sum, `[bins, bands]`."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequencies = np.linspace(0, sample_rate / 2, bins)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    filters = np.maximum(0, np.minimum(rise, fall))
    narrow = filters.sum(0) == 0  # a band between two bins: give it the nearest one
    filters[np.abs(frequencies - centre).argmin(0)[narrow], np.flatnonzero(narrow)] = 1
    return (filters / filters.sum(0)).astype(np.float32)
