"""A folder of explanations: what `audex explain` writes for each recording, and how the report reads it.

NAME.json                        the record; written last: where it stands, the others are complete. It holds digests of
                                 sounds and attribution, so that no others are taken for them
NAME.explanation.wav, NAME.residual.wav, NAME.reconstruction.wav
NAME.explanation-10.wav, ...     the same at other shares of kept elements, in percent
NAME.attribution.npz             attribution, score and mask of every latent element; where it was asked for, the
                                 occlusion map
NAME.png                         a picture, or .pdf or .svg
"""

import dataclasses
import hashlib
import importlib.metadata
import io
import os
import pathlib
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import soundfile

from audex_jax import __version__
from audex_jax.core.errors import AudexError
from audex_jax.core.level import within
from audex_jax.explain.result import Explanation, judgement
from audex_jax.io.atomic import write_json, write_npz
from audex_jax.io.audio import digest_of, flac_of, level_db, read_audio, write_audio
from audex_jax.io.files import content, json_object
from audex_jax.io.remote import is_address
from audex_jax.report.figure import explanation_figure, save_figure
from audex_jax.report.record import ReportError, check_record, chief

MOST_BYTES = 2**29  # of one file
PARSER = threading.Lock()  # np.load parses headers by `ast`, which Python 3.11 cannot do on several threads at once


class Drawing(NamedTuple):
    """How to draw the picture of a recording: one of `report.figure.FORMATS`, and of `report.figure.WIDTHS`."""

    kind: str = "png"
    width: str = "double"


PICTURE = Drawing()


def write_explanation(
    out: pathlib.Path,
    name: str,
    path: pathlib.Path,
    audio: np.ndarray,
    explanations: list[Explanation],
    model: str,
    others: Sequence[list[Explanation]] = (),
    maps: Sequence[np.ndarray] | None = None,
    drawing: Drawing = PICTURE,
    labels: Sequence[str] = (),
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
        maps: the occlusion map of each explanation, `[f, m]`; None to write none.
        drawing: how to draw the picture.
        labels: of the classifier; the recording's folder may be named after one.

    Returns:
        The content of the JSON file.
    """
    rate = explanations[0].sample_rate
    sounds = {"reconstruction": [e.reconstruction for e in explanations]}
    for share in (explanations, *others):
        suffix = "" if share is explanations else f"-{100 * share[0].keep:g}"
        sounds |= {f"explanation{suffix}": [e.audio for e in share], f"residual{suffix}": [e.residual for e in share]}
    for track, parts in sounds.items():
        write_audio(out / f"{name}.{track}.wav", np.concatenate(parts), rate)
    arrays = {
        kind: np.concatenate([getattr(e, kind) for e in explanations]) for kind in ("attribution", "score", "mask")
    }
    arrays["frame_rate"] = np.asarray(explanations[0].frame_rate)
    whole = None if maps is None else np.concatenate(maps).astype(np.float32)
    if whole is not None:
        arrays["occlusion_map"] = whole
    write_npz(out / f"{name}.attribution.npz", arrays)
    record = record_of(path, audio, explanations, model, others)
    record["label"] = path.parent.name if path.parent.name in labels else None
    record["files"] = {
        kind: hashlib.sha256(content(out / f"{name}.{kind}")).hexdigest()
        for kind in ("attribution.npz", *(f"{track}.wav" for track in sounds))
    }
    shown = os.fsencode(path.name).decode("utf-8", "replace")
    title = f"{shown}: {record['prediction']} ({record['prediction_probability']:.2f})"
    figure = explanation_figure(audio, explanations, title, drawing.width, whole)
    save_figure(out / f"{name}.{drawing.kind}", figure, drawing.kind)
    write_json(out / f"{name}.json", record, indent=2)
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
        "address": os.fsdecode(os.path.abspath(path)),
        "samples_sha256": digest_of(audio),
        "seconds": len(audio) / rate,
        "unexplained_tail_seconds": (len(audio) - start) / rate,
        **{key: value for key, value in chief(segments).items() if key not in ("start_seconds", "end_seconds")},
        "segments": segments,
        "model": model,
        "sample_rate": rate,
        "settings": dataclasses.asdict(explanations[0].settings),
        "versions": {"audex-jax": __version__} | {p: importlib.metadata.version(p) for p in ("jax", "flax", "numpy")},
    }


@dataclasses.dataclass(frozen=True)
class ReportClip:
    """One explained recording.

    Attributes:
        record: content of its JSON file.
        evidence: sums over the latent dimensions of what speaks for and against the target, in logits, `[t, 2]`.
        frame_rate: frames a second.
        sounds: FLAC files by track; `explanation` and `residual` have one for each of `record["levels"]`, in the
            order of the share kept. `original` is missing where the recording is no longer where it was.
        occlusion_map: `[f, m]`, see `explain.maps`, in logits; None where none was made.
        level_db: root mean square of the loudest segment of the recording, in dB of full scale; None if not known.
        missing: sentences: what was not stored, and what stores it.
    """

    record: dict[str, Any]
    evidence: np.ndarray
    frame_rate: float
    sounds: dict[str, list[bytes]]
    occlusion_map: np.ndarray | None = None
    level_db: float | None = None
    missing: tuple[str, ...] = ()

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
        ReportError: the record is broken, or one of its files is missing, broken, or not the tool's.
    """
    try:
        record = json_object(path)
        check_record(record)
        record["levels"] = sorted(record["levels"], key=lambda level: level["keep"])
        own, rate = record["settings"]["keep"], record["sample_rate"]
        sounds: dict[str, list[bytes]] = {"reconstruction": [_flac(path, record, "reconstruction")]}
        for track in ("explanation", "residual"):
            keeps = [level["keep"] for level in record["levels"]]
            sounds[track] = [_flac(path, record, track if k == own else f"{track}-{100 * k:g}") for k in keeps]
        evidence, frame_rate, located = _evidence(_file(path, record, "attribution.npz"))
        channels = soundfile.info(io.BytesIO(sounds["reconstruction"][0])).channels
    except Exception as error:  # whatever the files of somebody else hold: one recording is lost, not the report
        what = f"{type(error).__name__}: {error}"
        raise ReportError(f"{path}: not a whole explanation ({what}); run audex explain for it again") from None
    places = (record["address"], path.parent / record["file"], path.parent / pathlib.Path(record["file"]).name)
    original = original_of(places, record["samples_sha256"], rate, channels, record["segments"])
    sounds |= {} if original is None else {"original": [original]}
    missing = [] if original is not None else ["The recording is no longer where it was, or has changed."]
    if located is None:
        missing.append("The occlusion map was not computed: audex explain RECORDING --report computes it.")
    return ReportClip(record, evidence, frame_rate, sounds, located, _level_of(record), tuple(missing))


def original_of(
    places: Sequence[str | os.PathLike],
    digest: str,
    rate: int,
    channels: int,
    segments: Sequence[dict],
    stores: bool = False,
) -> bytes | None:
    """The recording that was explained as a FLAC file, at the level of the sounds made of it; None if it is not there.

    It is told by its samples: whoever wrote a record that names another file of this machine does not get it shown.
    Nor is anything fetched from an address that a record on the disk names.

    Args:
        places: where it may be.
        digest: `io.audio.digest_of` of its samples.
        rate, channels: with which it was read.
        segments: of its record, with the gain of each.
        stores: look for it in object stores, too.
    """
    for place in places:
        if is_address(place) and not stores:
            continue
        try:
            recording = read_audio(place, rate, channels)
        except (AudexError, OSError, ValueError):
            continue
        if digest_of(recording) == digest:
            gain = np.ones(len(recording), np.float32)
            for segment in segments:
                gain[round(segment["start_seconds"] * rate) :] = segment["gain"]
            return flac_of(within(recording * (gain if recording.ndim == 1 else gain[:, None]))[0], rate)
    return None


def evidence_of(attribution: np.ndarray) -> np.ndarray:
    """What speaks for and against the target in each frame, `[t, 2]`, of an attribution `[t, d]`."""
    return np.stack([np.maximum(attribution, 0).sum(1), np.minimum(attribution, 0).sum(1)], 1)


def _file(path: pathlib.Path, record: dict, kind: str) -> io.BytesIO:
    """A file beside a record; it has to be the one that was written with it."""
    data = content(path.with_name(f"{path.stem}.{kind}"), MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != record["files"].get(kind):
        raise ReportError(f"{path.stem}.{kind} is not the file that was written with it")
    return io.BytesIO(data)


def _level_of(record: dict) -> float | None:
    """Level of the loudest segment of the recording, in dB; what records of anybody hold in its place is not."""
    levels = [segment.get("level_db") for segment in record["segments"]]
    found = [level.get("recording") for level in levels if isinstance(level, dict)]
    told = [value for value in found if isinstance(value, float | int) and abs(value) < 1000]
    return round(max(told), 2) if told else None


def _evidence(file: io.BytesIO) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Evidence over time, its frame rate, and the occlusion map, if any, of the file with the attribution."""
    with PARSER, np.load(file) as stored:
        if sum(entry.file_size for entry in stored.zip.infolist()) > MOST_BYTES:
            raise ValueError("the attribution is too large")
        attribution, frame_rate = stored["attribution"], float(stored["frame_rate"])
        located = stored.get("occlusion_map")
    evidence = evidence_of(attribution)
    if not (np.isfinite(evidence).all() and evidence.size and 0 < frame_rate < 1e6):
        raise ValueError("the attribution is not finite, or has no frames")
    if located is not None and not (located.ndim == 2 and located.size and np.isfinite(located).all()):
        raise ValueError("the occlusion map is not finite, or empty")
    return evidence, frame_rate, located


def _flac(path: pathlib.Path, record: dict, track: str) -> bytes:
    samples, rate = soundfile.read(_file(path, record, f"{track}.wav"), dtype="int16")
    if rate != record["sample_rate"] or not len(samples):
        raise ReportError(f"{path.stem}.{track}.wav is of {rate} Hz or empty; its record says otherwise")
    return flac_of(samples, rate)
