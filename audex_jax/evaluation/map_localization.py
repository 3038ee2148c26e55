"""Does the occlusion map find what was planted, a word in time (`words`) and an event in a band of frequencies?

The event is noise in one of the bands `TOLD_HZ`; which one is the label. At the same time lies noise of the same level
in one of the bands `NEUTRAL_HZ` between them, which tells nothing. So a model that was trained on it must listen to the
event's band, while loudness and a model of shuffled weights do not find it. Cells count that are at most
`-SOUNDING_DB` below the loudest.
"""

from typing import NamedTuple

import numpy as np
import scipy.signal

from audex_jax.core.clips import SOUNDING_DB
from audex_jax.evaluation.localization import MARGIN, SYLLABLE, auc, model_of, moving_mean
from audex_jax.evaluation.words import PlacedWords
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.maps import BANDS, HOP, mel_edges, mel_power, occlusion_map, on_cells

TOLD_HZ = ((150, 400), (1000, 1600), (3600, 5000))
NEUTRAL_HZ = ((500, 800), (2000, 3000))


class BandEvents(NamedTuple):
    """Clips with an event in one band and noise in another.

    Attributes:
        audio: `[b, n]`.
        target: number of the event's band in `TOLD_HZ`, `[b]`.
        neutral: number of the other sound's band in `NEUTRAL_HZ`, `[b]`.
    """

    audio: np.ndarray
    target: np.ndarray
    neutral: np.ndarray


def band_events(count: int, samples: int, rate: int, seed: int = 0) -> BandEvents:
    """Draw clips with noise in a band that is the label, and in one that tells nothing; quiet white noise below.

    Args:
        count: of clips.
        samples, rate: of a clip.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    target = rng.integers(len(TOLD_HZ), size=count).astype(np.int32)
    neutral = rng.integers(len(NEUTRAL_HZ), size=count).astype(np.int32)
    audio = 1e-3 * rng.normal(size=(count, samples))
    for i in range(count):
        begin = round(rng.uniform(0.05, 0.35) * samples)
        for band in (TOLD_HZ[target[i]], NEUTRAL_HZ[neutral[i]]):
            sections = scipy.signal.butter(4, band, "bandpass", fs=rate, output="sos")
            sound = np.asarray(scipy.signal.sosfilt(sections, rng.normal(size=round(0.6 * samples))))
            audio[i, begin : begin + len(sound)] += 0.1 * sound / np.sqrt(np.mean(np.square(sound)))
    return BandEvents(audio.astype(np.float32), target, neutral)


def occlusion_maps_of(
    explainer: Explainer,
    audio: np.ndarray,
    target: np.ndarray,
    against: np.ndarray,
    shuffled: int | None = None,
) -> np.ndarray:
    """The occlusion map of each clip on the cells of its mel spectrogram, `[b, f, m]`.

    Args:
        explainer: the model.
        audio: clips `[b, n]`.
        target, against: class in question, and that it is against or -1, `[b]`.
        shuffled: seed of `localization.model_of`.
    """
    model, (_, samples) = model_of(explainer, shuffled), audio.shape
    rate, channels = model.codec.sample_rate, model.codec.channels
    frames, found = len(mel_power(audio[0], rate)), []
    for clip, own, other in zip(audio, target, against, strict=True):
        sound = np.repeat(clip[:, None], channels, 1)
        blocks = occlusion_map(model, sound, np.int32(samples), own, other)
        found.append(on_cells(np.asarray(blocks), frames, BANDS))
    return np.array(found)


def sounding_cells(sound: np.ndarray, rate: int) -> np.ndarray:
    """Cells of a clip `[n]` that count, `[f, m]`."""
    power = mel_power(sound, rate)
    return power >= 10 ** (SOUNDING_DB / 10) * power.max()


def word_areas(maps: np.ndarray, placed: PlacedWords, rate: int) -> np.ndarray:
    """How well maps find words in time: areas under the ROC curve, of cells and of frames, `[2, b]`.

    A frame scores the sum over its sounding cells, as a moving mean over a syllable.

    Args:
        maps: `[b, f, m]`, of the clips of `placed`.
        placed: from `words.place_words`.
        rate: in Hz.
    """
    areas = []
    for one, audio, start, stop in zip(maps, placed.audio, placed.start, placed.stop, strict=True):
        at, cells = np.arange(len(one)) * HOP, sounding_cells(audio, rate)
        inside = (at >= start / rate) & (at < stop / rate)
        far = np.minimum(np.abs(at - start / rate), np.abs(at - stop / rate)) > MARGIN * HOP
        frames = moving_mean((one * cells).sum(1), round(SYLLABLE / HOP))
        areas.append(
            [
                auc(one.ravel(), np.repeat(inside, one.shape[1]), (cells & far[:, None]).ravel()),
                auc(frames, inside, far & cells.any(1)),
            ]
        )
    return np.array(areas).T


def band_areas(maps: np.ndarray, events: BandEvents, rate: int) -> np.ndarray:
    """How well maps find the band of the event: areas under the ROC curve, of cells and of mel bands, `[2, b]`.

    Cells of the two bands with noise count, those of the event against those that tell nothing; a mel band scores the
    sum over its sounding cells.

    Args:
        maps: `[b, f, m]`, of the clips of `events`.
        events: from `band_events`.
        rate: in Hz.
    """
    centres, areas = mel_edges(rate, BANDS)[1:-1], []
    for one, audio, target, neutral in zip(maps, *events, strict=True):
        cells = sounding_cells(audio, rate)
        inside, other = ((centres >= low) & (centres < high) for low, high in (TOLD_HZ[target], NEUTRAL_HZ[neutral]))
        counted = inside | other
        areas.append(
            [
                auc(one.ravel(), np.tile(inside, len(one)), (cells & counted).ravel()),
                auc((one * cells).sum(0), inside, counted),
            ]
        )
    return np.array(areas).T
