"""A folder of explanations: what `audex explain` writes for each recording, and how the report reads it.

NAME.json                        the record; written last: where it stands, the others are complete
NAME.explanation.wav, NAME.residual.wav, NAME.reconstruction.wav
NAME.explanation-10.wav, ...     the same at other shares of kept elements, in percent
NAME.attribution.npz             attribution, score and mask of every latent element
NAME.png                         a picture
"""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import threading
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile

from audex_jax import __version__
from audex_jax.core.errors import AudexError
from audex_jax.explain.result import Explanation, columns, judgement
from audex_jax.io.atomic import replacing
from audex_jax.io.audio import AudioError, file_name, flac_of, level_db, read_audio, write_audio
from audex_jax.report.figure import explanation_figure, save_figure

FILE = ("file", "seconds", "unexplained_tail_seconds", "model", "sample_rate", "settings", "versions", "segments")
NEEDED = {*FILE, "levels", *(one.name for one in columns())}  # of a record
PARSER = threading.Lock()  # np.load parses headers by `ast`, which Python 3.11 cannot do on several threads at once


class ReportError(AudexError):
    """A folder or a record that no report can be made of; the message names it and says what to do."""


def write_explanation(
    out: pathlib.Path,
    name: str,
    path: pathlib.Path,
    audio: np.ndarray,
    explanations: list[Explanation],
    model: str,
    others: Sequence[list[Explanation]] = (),
) -> dict:
    """Write the files of one recording.

    Args:
        out: folder.
        name: of the files, without suffix.
        path: of the recording.
        audio: the recording as it was read.
        explanations: of its consecutive segments.
        model: name of the explainer.
        others: the same explanations at other shares of kept elements; of these the sounds are written.

    Returns:
        The content of the JSON file.
    """
    rate = explanations[0].sample_rate
    write_audio(out / f"{name}.reconstruction.wav", np.concatenate([e.reconstruction for e in explanations]), rate)
    for share in (explanations, *others):
        suffix = "" if share is explanations else f"-{100 * share[0].keep:g}"
        write_audio(out / f"{name}.explanation{suffix}.wav", np.concatenate([e.audio for e in share]), rate)
        write_audio(out / f"{name}.residual{suffix}.wav", np.concatenate([e.residual for e in share]), rate)
    arrays = {
        kind: np.concatenate([getattr(e, kind) for e in explanations]) for kind in ("attribution", "score", "mask")
    }
    with replacing(out / f"{name}.attribution.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, frame_rate=explanations[0].frame_rate, **arrays)
    record = record_of(path, audio, explanations, model, others)
    shown = os.fsencode(path.name).decode("utf-8", "replace")
    title = f"{shown}: {record['prediction']} ({record['prediction_probability']:.2f})"
    save_figure(out / f"{name}.png", explanation_figure(audio, explanations, title))
    with replacing(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def record_of(
    path: pathlib.Path,
    audio: np.ndarray,
    explanations: list[Explanation],
    model: str,
    others: Sequence[list[Explanation]] = (),
) -> dict:
    """The record of one recording: the judgement of its most certain segment at the top, then all segments."""
    rate, start, segments = explanations[0].sample_rate, 0, []
    for index, e in enumerate(explanations):
        end = start + len(e.audio)
        levels = {"recording": audio[start:end], "reconstruction": e.reconstruction}
        levels |= {"explanation": e.audio, "residual": e.residual}
        segments.append(
            {
                "start_seconds": start / rate,
                "end_seconds": end / rate,
                **judgement(e),
                "verdict": e.verdict.record(),
                "levels": [judgement(o, share=True) for o in (e, *(other[index] for other in others))],
                "level_db": {name: level_db(sound) for name, sound in levels.items()},
            }
        )
        start = end
    return {
        "file": os.fsdecode(path),
        "seconds": len(audio) / rate,
        "unexplained_tail_seconds": (len(audio) - start) / rate,
        **{key: value for key, value in chief(segments).items() if key not in ("start_seconds", "end_seconds")},
        "segments": segments,
        "model": model,
        "sample_rate": rate,
        "settings": dataclasses.asdict(explanations[0].settings),
        "versions": {"audex-jax": __version__} | {p: importlib.metadata.version(p) for p in ("jax", "flax", "numpy")},
    }


def chief(segments: Sequence[dict]) -> dict:
    """The segment that stands for a recording: of those with sound, the most certain one."""
    sounding = [segment for segment in segments if not segment["silent"]] or segments
    return max(sounding, key=lambda segment: segment["prediction_probability"])


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


def _flac(record: pathlib.Path, kind: str) -> bytes:
    samples, rate = soundfile.read(file_name(record.with_name(f"{record.stem}.{kind}.wav")), dtype="int16")
    return flac_of(samples, rate)


def _whereabouts(record: pathlib.Path, name: str) -> pathlib.Path:
    """The recording, as it was named, or below the folder of its record."""
    given = pathlib.Path(name)
    return given if given.exists() else record.parent / given
