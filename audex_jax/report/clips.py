"""What `audex explain` left in a folder, as the report needs it: records, sounds, and evidence over time."""

import base64
import dataclasses
import io
import json
import pathlib
import threading
import zipfile
from typing import Any

import numpy as np
import soundfile

from audex_jax.core.errors import AudexError
from audex_jax.io.audio import AudioError, file_name, read_audio

NEEDED = {
    "file",
    "seconds",
    "unexplained_tail_seconds",
    "model",
    "sample_rate",
    "settings",
    "versions",
    "segments",
    "levels",
    "prediction",
    "prediction_probability",
    "target",
    "target_probability",
    "top",
    "completeness_gap",
    "verdict",
    "reconstruction_agrees",
    "silent",
}  # of a record; fmt: skip
PARSER = threading.Lock()  # np.load parses headers by `ast`, which Python 3.11 cannot do on several threads at once


class ReportError(AudexError):
    """A folder or a record that no report can be made of; the message names it and says what to do."""


@dataclasses.dataclass(frozen=True)
class ReportClip:
    """One explained recording.

    Attributes:
        record: content of its JSON file.
        evidence: sums over the latent dimensions of what speaks for and against the target, in logits, `[t, 2]`.
        frame_rate: frames a second.
        sounds: FLAC files by track; `explanation` and `residual` have one for each of `record["levels"]`, in the
            order of the share kept. `original` is missing where the recording is no longer where it was.
    """

    record: dict[str, Any]
    evidence: np.ndarray
    frame_rate: float
    sounds: dict[str, list[bytes]]

    @property
    def levels(self) -> list[dict]:
        """The shares of kept elements that can be listened to, smallest first."""
        return self.record["levels"]


def explained(folder: pathlib.Path) -> list[pathlib.Path]:
    """The records in a folder, sorted by name.

    Raises:
        ReportError: no such folder, or nothing that `audex explain` wrote in it.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder; give the --out folder of audex explain")
    found = sorted(p for p in folder.glob("*.json") if p.with_name(f"{p.stem}.attribution.npz").exists())
    if not found:
        raise ReportError(f"{folder}: no explanations in it; make some with audex explain INPUT --out {folder}")
    return found


def read_clip(path: pathlib.Path) -> ReportClip:
    """Read what stands in the folder under the name of one record.

    Raises:
        ReportError: the record is broken, or one of its files is missing or broken.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if missing := sorted(NEEDED - set(record)):
            raise ReportError(f"it lacks {', '.join(missing)}")  # written by an older version, for instance
        record["levels"] = sorted(record["levels"], key=lambda level: level["keep"])
        own, rate = record["settings"]["keep"], record["sample_rate"]
        sounds: dict[str, list[bytes]] = {"reconstruction": [_flac(path, "reconstruction")]}
        for track in ("explanation", "residual"):
            keeps = [level["keep"] for level in record["levels"]]
            sounds[track] = [_flac(path, track if k == own else f"{track}-{100 * k:g}") for k in keeps]
        with PARSER, np.load(path.with_name(f"{path.stem}.attribution.npz")) as stored:
            attribution, frame_rate = stored["attribution"], float(stored["frame_rate"])
        channels = soundfile.info(file_name(path.with_name(f"{path.stem}.reconstruction.wav"))).channels
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, soundfile.LibsndfileError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ReportError(f"{path}: not a whole explanation ({what}); run audex explain for it again") from None
    try:
        recording = read_audio(_whereabouts(path, record["file"]), rate, channels)
    except AudioError:
        pass
    else:
        sounds["original"] = [flac_of(recording, rate)]
    return ReportClip(record, evidence_of(attribution), frame_rate, sounds)


def evidence_of(attribution: np.ndarray) -> np.ndarray:
    """What speaks for and against the target in each frame, `[t, 2]`, of an attribution `[t, d]`."""
    return np.stack([np.maximum(attribution, 0).sum(1), np.minimum(attribution, 0).sum(1)], 1)


def flac_of(samples: np.ndarray, rate: int) -> bytes:
    """Samples `[n]` or `[n, c]` as a 16-bit FLAC file."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def data_url(flac: bytes) -> str:
    """A FLAC file as a URL that holds it."""
    return "data:audio/flac;base64," + base64.b64encode(flac).decode()


def _flac(record: pathlib.Path, kind: str) -> bytes:
    samples, rate = soundfile.read(file_name(record.with_name(f"{record.stem}.{kind}.wav")), dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def _whereabouts(record: pathlib.Path, name: str) -> pathlib.Path:
    """The recording, as it was named, or below the folder of its record."""
    given = pathlib.Path(name)
    return given if given.exists() else record.parent / given
