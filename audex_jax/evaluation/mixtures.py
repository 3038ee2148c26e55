"""Mixtures: something else lies over each clip, as loud as the clip. What explains the clip has to leave it out.

The protocol is that of L-MAC (Paissan et al., arXiv 2403.13086), which contaminates test clips by noise and by other
clips; here both have one level. The class that is explained is the one that the mixture gets.
"""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.data.folder import LabelledClip
from audex_jax.io.audio import write_audio

SCALE = (0, 2, 4, 7, 9)  # semitones of the notes, a pentatonic scale
LOWEST, OCTAVES = 110.0, 3  # Hz of the lowest note, and the range above it
HARMONICS = 6
NOTE = (0.15, 0.4)  # seconds of a note
Draw = Callable[[int, int, np.random.Generator], np.ndarray]  # of samples and rate: a sound `[n]`


def white_noise(samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise, `[n]`."""
    return rng.normal(size=samples)


def music(samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Two voices of plucked notes, each a sum of harmonics that dies away, `[n]`."""
    sound = np.zeros(samples)
    for _ in range(2):
        begin = 0
        while begin < samples:
            length = round(rng.uniform(*NOTE) * rate)
            time = np.arange(min(length, samples - begin)) / rate
            pitch = LOWEST * 2 ** (rng.integers(OCTAVES) + rng.choice(SCALE) / 12)
            order = np.arange(1, HARMONICS + 1)
            order = order[order * pitch < rate / 2]
            tones = np.sin(2 * np.pi * pitch * order * time[:, None] + rng.uniform(0, 2 * np.pi, len(order)))
            sound[begin : begin + len(time)] += np.exp(-6 * time) * np.minimum(1, 200 * time) * (tones @ (1 / order))
            begin += length
    return sound


DRAWN: dict[str, Draw] = {"noise": white_noise, "music": music}
KINDS = (*DRAWN, "speech")


def mix(
    clips: Sequence[np.ndarray], files: Sequence[LabelledClip], kind: str, sample_rate: int, seed: int = 0
) -> list[np.ndarray]:
    """Lay something of each clip's own root mean square over it.

    Args:
        clips: recordings `[n]`, with their `files`.
        kind: of `KINDS`. `speech` is a clip of another label and, where speakers are known, of another speaker,
            repeated until it is long enough.
        sample_rate: in Hz.
        seed: with the clip's number it decides what is drawn.

    Raises:
        AudexError: an unknown kind, or no clip of another label and speaker.
    """
    if kind not in KINDS:
        raise AudexError(f"no mixtures with {kind!r}; choose from {', '.join(KINDS)}")
    mixed = []
    for i, clip in enumerate(clips):
        rng = np.random.default_rng([seed, i])
        if kind == "speech":
            other = np.resize(clips[_stranger(files, i, rng)], len(clip))
        else:
            other = DRAWN[kind](len(clip), sample_rate, rng)
        mixed.append((clip + other * (_rms(clip) / max(_rms(other), 1e-8))).astype(np.float32))
    return mixed


def write_mixtures(
    folder: pathlib.Path, clips: Sequence[np.ndarray], files: Sequence[LabelledClip], kind: str, sample_rate: int
) -> list[LabelledClip]:
    """Write `mix` of clips to a folder, as WAV files below their labels; the files, as `evaluate` takes them.

    Mixtures beyond full scale are made quieter as a whole.
    """
    found = []
    for i, (sound, file) in enumerate(zip(mix(clips, files, kind, sample_rate), files, strict=True)):
        path = folder / file.label / f"{i:05d}-{file.path.stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, sound / max(1.0, float(np.abs(sound).max(initial=0))), sample_rate)
        found.append(LabelledClip(path, file.label, file.speaker, file.split))
    return found


def _stranger(files: Sequence[LabelledClip], number: int, rng: np.random.Generator) -> int:
    """Number of a clip of another label and another speaker than clip `number`."""
    own = files[number]
    others = [
        i for i, f in enumerate(files) if f.label != own.label and (f.speaker is None or f.speaker != own.speaker)
    ]
    if not others:
        raise AudexError(f"{own.path.name}: no clip of another label and another speaker to mix it with; add clips")
    return others[int(rng.integers(len(others)))]


def _rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
