"""Evidence in time and frequency: what an explanation keeps of each cell of the mel spectrogram, and what the logit
loses without it.

    kept       10 log10 E / R, E and R the power of explanation and reconstruction in the cell, in dB
    occlusion  F(x) - F(x without the block), F the logit of the target, less that of the class that it is against

A block is a stretch of about 0.1 s of one of `BLOCK_BANDS` mel bands of the recording x; what is occluded in Zeiler and
Fergus (arXiv 1311.2901) is a square of a picture. Blocks overlap by half, so that no edge is heard, and add up to x.
Above 0 a block is evidence for the target, below it against it. The map asks the explanation's question of the sound
and not of the latent, so it does not depend on how a codec spreads frequencies over the dimensions of its latent.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from audex_jax.core.host import compile_step
from audex_jax.core.types import Array, Float, Int
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model, classify_audio
from audex_jax.explain.result import Explanation
from audex_jax.masking.optimise import contrast

WINDOW = 0.032  # seconds of a window; the next power of two in samples is taken
HOP, BANDS = 0.02, 40  # seconds between the frames of a map, and its mel bands
FLOOR_DB = -50.0  # below the loudest cell of the reconstruction a cell holds nothing to keep
LEAST_DB = -30.0  # of what is kept of a cell; what the decoder adds above 0 dB is not kept
BLOCK_SECONDS, BLOCK_BANDS, MOST_STRETCHES = (
    0.1,
    10,
    20,
)  # of a block; stretches of a clip at most, then they are longer
TOGETHER = 10  # classified at once


def mel_power(audio: Any, rate: int, hop: float = HOP, bands: int = BANDS) -> Any:
    """Power in each cell of a mel spectrogram, `[f, m]`; Hann windows, triangular bands equally wide in mel.

    Args:
        audio: `[n]`, of NumPy or of JAX; so is the result.
        rate: in Hz.
        hop: seconds between frames; the last one begins before the end.
        bands: number of mel bands, from 0 Hz to half the rate.
    """
    xp, fft = (np, scipy.fft) if isinstance(audio, np.ndarray) else (jnp, jnp.fft)
    size, step = window_samples(rate), max(1, round(hop * rate))
    frames = -(-audio.shape[0] // step)
    before = (size - step) // 2
    padded = xp.pad(audio, (max(before, 0), size + step))[max(-before, 0) :]
    places = np.arange(frames)[:, None] * step + np.arange(size)
    spectrum = fft.rfft(padded[places] * np.hanning(size + 1)[:-1].astype(np.float32))
    return xp.square(xp.abs(spectrum)) @ mel_weights(rate, size, bands).T


def window_samples(rate: int) -> int:
    """Samples of a window of `WINDOW` seconds, a power of two.

    >>> window_samples(16000)
    512
    """
    return 2 ** int(np.ceil(np.log2(max(WINDOW * rate, 2))))


@functools.cache
def mel_weights(rate: int, size: int, bands: int) -> Float[np.ndarray, "m k"]:
    """What each bin of a real spectrum of `size` samples adds to each mel band; a band has one bin at least."""
    edges = mel_edges(rate, bands)
    bins = np.fft.rfftfreq(size, 1 / rate)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    empty = ~weights.any(1)
    weights[empty, np.abs(bins - centre[empty]).argmin(1)] = 1
    return weights.astype(np.float32)


def mel_edges(rate: int, bands: int) -> Float[np.ndarray, " e"]:
    """Where mel bands begin, have their centre and end, in Hz: band i at i, i + 1 and i + 2."""
    return 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 1400), bands + 2) / 2595) - 1)


def kept_map(explanation: Any, reconstruction: Any, rate: int, **cells: Any) -> Float[np.ndarray, "f m"]:
    """How much of each cell's power an explanation keeps, in dB from `LEAST_DB`, as where there is nothing, to 0.

    Args:
        explanation, reconstruction: sounds `[n]`.
        rate: in Hz.
        cells: as in `mel_power`.
    """
    kept, whole = (mel_power(np.asarray(sound, np.float32), rate, **cells) for sound in (explanation, reconstruction))
    floor = max(float(whole.max()) * 10 ** (FLOOR_DB / 10), 1e-12)
    share = 10 * np.log10(np.maximum(kept, 1e-20) / np.maximum(whole, 1e-20))
    return np.where(whole < floor, LEAST_DB, np.clip(share, LEAST_DB, 0))


def occlusion_maps(explainer: Explainer, explanations: Sequence[Explanation]) -> list[Float[np.ndarray, "f m"]]:
    """What the logit loses without each block of the recording, read on the cells of its mel spectrogram, `[f, m]`.

    It costs a classification for each block, 100 for an explainer of clips of 1 s and at most 200 for any.

    Args:
        explainer: that made the explanations.
        explanations: of clips; the target, and the class that it is against, are theirs.
    """
    found, step = [], max(1, round(HOP * explainer.sample_rate))
    for one in explanations:
        audio, lengths = explainer.pad([one.recording])
        target, versus = (np.int32(explainer.target_index(label)) for label in (one.target, one.versus))
        blocks = np.asarray(occlusion_map(explainer.model, audio[0], lengths[0], target, versus))
        frames = -(-np.array([audio.shape[1], lengths[0]]) // step)
        found.append(on_cells(blocks, frames[0], BANDS)[: frames[1]])
    return found


def stretches_of(seconds: float) -> int:
    """Number of stretches that a clip of the explainer's length is cut into.

    >>> stretches_of(1.0), stretches_of(0.02), stretches_of(60.0)
    (10, 1, 20)
    """
    return int(np.clip(round(seconds / BLOCK_SECONDS), 1, MOST_STRETCHES))


@compile_step()
def occlusion_map(
    model: Model,
    audio: Float[Array, "n c"],
    length: Int[Array, ""],
    target: Int[Array, ""],
    versus: Int[Array, ""],
) -> Float[Array, "s m"]:
    """What the logit of the target loses without each block of one zero-padded clip.

    Args:
        model: codec and classifier.
        audio: the clip.
        length: its own samples.
        target: class in question.
        versus: class that it is against; -1 for none in particular.
    """
    samples, rate = audio.shape[0], model.codec.sample_rate
    stretches = stretches_of(samples / rate)
    at = (jnp.arange(samples) + 0.5) / samples * stretches - 0.5
    spectrum = jnp.fft.rfft(audio, axis=0)
    hertz = np.fft.rfftfreq(samples, 1 / rate)
    place = 2595 * np.log10(1 + hertz / 700) / (2595 * np.log10(1 + rate / 1400)) * BLOCK_BANDS - 0.5

    def value(sounds: Array) -> Array:
        logits = classify_audio(model, sounds, jnp.full(len(sounds), length))
        return jax.vmap(lambda own: contrast(own, target, versus))(logits)

    def without(number: Array) -> Array:
        stretch, band = number // BLOCK_BANDS, number % BLOCK_BANDS
        in_band = _overlapping(jnp.asarray(place), band, BLOCK_BANDS)
        part = jnp.fft.irfft(spectrum * in_band[:, None], samples, axis=0)
        return audio - _overlapping(at, stretch, stretches)[:, None] * part

    def together(numbers: Array) -> Array:
        return value(jax.vmap(without)(numbers))

    numbers = jnp.arange(stretches * BLOCK_BANDS).reshape(-1, TOGETHER)
    left = jax.lax.map(together, numbers).ravel()
    return (value(audio[None])[0] - left).reshape(stretches, BLOCK_BANDS)


def _overlapping(at: Array, number: Array, count: int) -> Array:
    """Weight of a part of `count` that overlap by half at places in parts; the weights of all add up to 1."""
    return jnp.maximum(0, 1 - jnp.abs(jnp.clip(at, 0, count - 1) - number))


def on_cells(blocks: np.ndarray, frames: int, bands: int) -> np.ndarray:
    """A map of blocks `[s, m]` on `frames` by `bands` cells, linearly between the blocks' centres.

    >>> on_cells(np.array([[0.0], [2.0]]), 4, 1).ravel().tolist()
    [0.0, 0.5, 1.5, 2.0]
    """
    for axis, count in ((0, frames), (1, bands)):
        size = blocks.shape[axis]
        at = (np.arange(count) + 0.5) / count * size - 0.5
        blocks = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, blocks)
    return blocks
