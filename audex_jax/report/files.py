"""Recordings on disk in, explanations on disk out: what `audex explain` does for every input."""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from audex_jax import __version__
from audex_jax.data.folder import audio_files
from audex_jax.explain.explainer import Explainer, Explanation
from audex_jax.explain.step import Settings
from audex_jax.io.audio import AudioError, level_db, read_recording, replacing, write_audio

BATCHES = (8, 4, 2, 1)  # clips explained at once; few sizes, since each compiles its own program


@dataclasses.dataclass(frozen=True)
class FileResult:
    """What became of one input: either `record`, the content of its JSON file, or `error`, one line."""

    path: pathlib.Path
    record: dict | None = None
    error: str | None = None

    @property
    def json_line(self) -> str:
        return json.dumps(self.record)

    @property
    def sentence(self) -> str:
        """The result in one plain line."""
        assert self.record is not None
        record = self.record
        if record["silent"]:
            return f"{self.path}: silence; there is nothing to explain"
        says = "still says" if record["sufficient"] else "no longer says"
        rest = "does not" if record["necessary"] else "still does"
        text = (
            f"{self.path}: {record['prediction']!r} ({record['prediction_probability']:.2f}); the explanation alone "
            f"{says} so ({record['explanation_probability']:.2f}), the rest {rest}"
        )
        if len(record["segments"]) > 1:
            text += f"; most certain of {len(record['segments'])} segments"
        if not record["verdict"]["reliable"]:
            text += f"; do not trust single elements: {record['verdict']['message']}"
        return text


def demo_clips() -> list[pathlib.Path]:
    """The recordings that come with the package, spoken by a synthesiser."""
    return audio_files(pathlib.Path(__file__).parents[1] / "models" / "demo")


def list_inputs(inputs: Sequence[str]) -> list[pathlib.Path]:
    """Recordings that `inputs` stand for: files, all recordings below folders, `demo` for the bundled clips.

    Raises:
        AudioError: an input that does not exist, or a folder without recordings.
    """
    found: list[pathlib.Path] = []
    for name in inputs:
        path = pathlib.Path(name)
        if name == "demo":
            found += demo_clips()
        elif path.is_dir():
            files = audio_files(path)
            if not files:
                raise AudioError(f"{path}: no audio in this folder; expected WAV, FLAC, OGG or MP3 files")
            found += files
        elif path.exists():
            found.append(path)
        else:
            raise AudioError(f"{path}: no such file or folder; check the path")
    return found


def explain_files(
    explainer: Explainer,
    paths: Sequence[pathlib.Path],
    out: pathlib.Path,
    target: str | None,
    settings: Settings,
    model: str,
    levels: Sequence[float] = (),
) -> Iterator[FileResult]:
    """Explain recordings and write what came out; a recording that cannot be read does not stop the others.

    Args:
        explainer: what explains.
        paths: recordings.
        out: folder to write to; it exists.
        target: label to explain; None for the predicted one.
        settings: how to explain.
        model: name of the explainer, for the record.
        levels: further shares of kept elements to listen to.

    Yields:
        One result a recording, in order.
    """
    names = output_names(paths)
    explained: Iterator[Any] = iter(())
    for recordings in _batches_of_recordings(explainer, paths):
        next(explained, None)
        following = _explain(explainer, recordings, names, out, target, settings, model, levels)
        try:
            next(following)
        finally:  # what is explained is written while the device explains what follows, or if that fails
            yield from explained
        explained = following
    next(explained, None)
    yield from explained


def _batches_of_recordings(
    explainer: Explainer, paths: Sequence[pathlib.Path]
) -> Iterator[list[tuple[pathlib.Path, np.ndarray | AudioError]]]:
    """Recordings, or why they cannot be read, with as many segments together as are explained at once, or more."""
    recordings, segments = [], 0
    for path in paths:
        try:
            audio = read_recording(path, explainer.sample_rate, explainer.model.codec.config.channels)
        except AudioError as error:
            recordings.append((path, error))
            continue
        recordings.append((path, audio))
        segments += len(explainer.segments(audio))
        if segments >= BATCHES[0]:
            yield recordings
            recordings, segments = [], 0
    if recordings:
        yield recordings


def output_names(paths: Sequence[pathlib.Path]) -> dict[pathlib.Path, str]:
    """A name for the outputs of each input: its stem, with its folder or a number where stems collide."""
    names: dict[pathlib.Path, str] = {}
    taken: set[str] = set()
    stems = [path.stem for path in paths]
    for path in paths:
        name = path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}-{path.stem}".lstrip("-")
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique)
        names[path] = unique
    return names


def _explain(explainer, recordings, names, out, target, settings, model, levels) -> Iterator[FileResult | None]:
    """Explain recordings: None once the device has begun with the first, None once all are done, then the results."""
    read = [audio for _, audio in recordings if not isinstance(audio, AudioError)]
    segments = [segment for audio in read for segment in explainer.segments(audio)]
    explanations: list[Explanation] = []
    others: dict[float, list[Explanation]] = {keep: [] for keep in sorted({*levels} - {settings.keep})}
    if not segments:
        yield None
    while segments:
        size = next(size for size in BATCHES if size <= len(segments))
        batch, segments = segments[:size], segments[size:]
        begun = explainer.start(batch, target, settings)
        if not explanations:
            yield None
            import audex_jax.report.figure  # noqa: F401  # Matplotlib takes its time: meanwhile the device works
        found = explainer.explanations(begun, batch, settings)
        for keep, listened in others.items():
            listened += explainer.listen_at(keep, batch, found)
        explanations += found
    yield None
    first = 0
    for path, audio in recordings:
        if isinstance(audio, AudioError):
            yield FileResult(path, error=str(audio))
            continue
        own = slice(first, first + len(explainer.segments(audio)))
        first = own.stop
        at = [listened[own] for listened in others.values()]
        try:
            record = write_explanation(out, names[path], path, audio, explanations[own], explainer, model, at)
        except OSError as error:
            yield FileResult(path, error=f"{out}: cannot write there ({error.strerror}); choose another --out")
        else:
            yield FileResult(path, record=record)


def write_explanation(
    out: pathlib.Path,
    name: str,
    path: pathlib.Path,
    audio: np.ndarray,
    explanations: list[Explanation],
    explainer: Explainer,
    model: str,
    others: Sequence[list[Explanation]] = (),
) -> dict:
    """Write the files of one recording, the JSON last: where it stands, the others are complete.

    Args:
        out: folder.
        name: of the files, without suffix.
        path: of the recording.
        audio: the recording as it was read.
        explanations: of its segments.
        explainer, model: what explained it, and its name.
        others: the same explanations at other shares of kept elements; of these the sounds are written.

    Returns:
        The content of the JSON file.
    """
    from audex_jax.report.figure import explanation_figure, save_figure

    rate = explainer.sample_rate
    for kind, arrays in (
        ("explanation", [e.audio for e in explanations]),
        ("residual", [e.residual for e in explanations]),
        ("reconstruction", [e.reconstruction for e in explanations]),
    ):
        write_audio(out / f"{name}.{kind}.wav", np.concatenate(arrays), rate)
    with replacing(out / f"{name}.attribution.npz") as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            attribution=np.concatenate([e.attribution for e in explanations]),
            score=np.concatenate([e.score for e in explanations]),
            mask=np.concatenate([e.mask for e in explanations]),
            frame_rate=explainer.model.codec.config.frame_rate,
        )
    for listened in others:
        percent = f"{100 * listened[0].settings.keep:g}"
        write_audio(out / f"{name}.explanation-{percent}.wav", np.concatenate([e.audio for e in listened]), rate)
        write_audio(out / f"{name}.residual-{percent}.wav", np.concatenate([e.residual for e in listened]), rate)
    record = describe(path, audio, explanations, explainer, model, others)
    shown = os.fsencode(path.name).decode("utf-8", "replace")
    title = f"{shown}: {record['prediction']} ({record['prediction_probability']:.2f})"
    save_figure(out / f"{name}.png", explanation_figure(audio, explanations, title))
    with replacing(out / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def describe(
    path: pathlib.Path,
    audio: np.ndarray,
    explanations: list[Explanation],
    explainer: Explainer,
    model: str,
    others: Sequence[list[Explanation]] = (),
) -> dict:
    """The record of one recording: its most certain segment at the top, then all segments."""
    rate, length = explainer.sample_rate, explainer.clip_samples
    segments = []
    for index, e in enumerate(explanations):
        start = index * length
        segments.append(
            {
                "start_seconds": start / rate,
                "end_seconds": (start + len(e.audio)) / rate,
                **judged(e),
                "levels": [{"keep": o.settings.keep, **heard(o)} for o in (e, *(other[index] for other in others))],
                "level_db": {
                    "recording": level_db(audio[start : start + len(e.audio)]),
                    "reconstruction": level_db(e.reconstruction),
                    "explanation": level_db(e.audio),
                    "residual": level_db(e.residual),
                },
            }
        )
    sounding = [s for s in segments if not s["silent"]] or segments
    chief = max(sounding, key=lambda s: s["prediction_probability"])
    covered = sum(len(e.audio) for e in explanations)
    return {
        "file": os.fsdecode(path),
        "seconds": len(audio) / rate,
        "unexplained_tail_seconds": (len(audio) - covered) / rate,
        **{key: value for key, value in chief.items() if key not in ("start_seconds", "end_seconds")},
        "segments": segments,
        "model": model,
        "sample_rate": rate,
        "settings": dataclasses.asdict(explanations[0].settings),
        "versions": {"audex-jax": __version__} | {p: importlib.metadata.version(p) for p in ("jax", "flax", "numpy")},
    }


def judged(e: Explanation) -> dict:
    """What the classifier says about a clip and about its explanation."""
    return {
        "prediction": e.predicted,
        "prediction_probability": e.probabilities[e.predicted],
        "target": e.label,
        "target_probability": e.probability,
        "top": dict(list(e.probabilities.items())[:5]),
        "completeness_gap": None if np.isnan(e.completeness_gap) else e.completeness_gap,
        "gap_flagged": e.gap_flagged,
        "verdict": dataclasses.asdict(e.verdict),
        "reconstruction_agrees": e.reconstruction_agrees,
        "silent": e.silent,
        **heard(e),
    }


def heard(e: Explanation) -> dict:
    """What the explanation and the rest are heard as; depends on the share of kept elements."""
    return {
        "latent_sufficient": e.latent_sufficient,
        "sufficient": e.sufficient,
        "explanation_probability": e.explanation_probability,
        "explanation_top": dict(list(e.explanation_probabilities.items())[:5]),
        "latent_necessary": e.latent_necessary,
        "necessary": e.necessary,
    }
