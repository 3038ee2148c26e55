"""Recordings on disk in, explanations on disk out: what `audex explain` does for every input."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from audex_jax.core.errors import ModelError
from audex_jax.core.settings import Settings
from audex_jax.data.inputs import output_names
from audex_jax.explain.checks import usable
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.maps import occlusion_maps
from audex_jax.explain.result import Explanation
from audex_jax.explain.verdict import verdict
from audex_jax.io.audio import AudioError, read_recording
from audex_jax.io.files import json_text
from audex_jax.report.folder import PICTURE, Drawing, write_explanation

BATCHES = (8, 4, 2, 1)  # clips explained at once; few sizes, since each compiles its own program
Recordings = list[tuple[pathlib.Path, np.ndarray | AudioError]]


@dataclasses.dataclass(frozen=True)
class FileResult:
    """What became of one input: either `record`, the content of its JSON file, or `error`, one line."""

    path: pathlib.Path
    record: dict | None = None
    error: str | None = None

    @property
    def json_line(self) -> str:
        return json_text(self.record)

    @property
    def sentence(self) -> str:
        """The result in one line: what the classifier said, and the verdict on the explanation."""
        assert self.record is not None
        record, found = self.record, verdict(self.record)
        words = " ".join((found.headline, *found.reasons))
        if record["silent"]:
            return f"{self.path}: {words}"
        segments = len(record["segments"])
        which = f", the most certain of {segments} segments" if segments > 1 else ""
        return f"{self.path}: {record['prediction']!r} ({record['prediction_probability']:.2f}){which}. {words}"


def explain_files(
    explainer: Explainer,
    paths: Sequence[pathlib.Path],
    out: pathlib.Path,
    target: str | None,
    settings: Settings,
    model: str,
    levels: Sequence[float] = (),
    versus: str | None = None,
    control: bool = True,
    maps: bool = False,
    drawing: Drawing = PICTURE,
) -> Iterator[FileResult]:
    """Explain recordings and write what came out; a recording that cannot be read does not stop the others.

    Args:
        explainer: what explains.
        paths: recordings.
        out: folder to write to; it exists.
        target: label to explain; None for the predicted one.
        settings: how to explain.
        model: name of the explainer, for the record.
        levels: further shares of kept elements to make sounds of.
        versus: label to explain the target against; None for none in particular.
        control: also ask the same method for a label that is not in the recording; takes as long again.
        maps: also make occlusion maps; takes a classification for each block, 100 in a second.
        drawing: how to draw the pictures.

    Yields:
        One result a recording, in order.
    """
    names = output_names(paths, out)
    explained: Iterator[Any] = iter(())
    for recordings in _batches_of_recordings(explainer, paths):
        next(explained, None)
        how = (target, settings, model, levels, versus, control, maps, drawing)
        following = _explain(explainer, recordings, names, out, *how)
        try:
            next(following)
        finally:  # what is explained is written while the device explains what follows, or if that fails
            yield from explained
        explained = following
    next(explained, None)
    yield from explained


def _batches_of_recordings(explainer: Explainer, paths: Sequence[pathlib.Path]) -> Iterator[Recordings]:
    """Recordings, or why they cannot be read, with as many segments together as are explained at once, or more."""
    recordings: Recordings = []
    segments = 0
    for path in paths:
        try:
            audio = read_recording(path, explainer.sample_rate, explainer.model.codec.channels)
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


def _explain(
    explainer, recordings, names, out, target, settings, model, levels, versus, control, maps, drawing
) -> Iterator[FileResult | None]:
    """Explain recordings: None once the device has begun with the first, None once all are done, then the results."""
    read = [audio for _, audio in recordings if not isinstance(audio, AudioError)]
    segments = [segment for audio in read for segment in explainer.segments(audio)]
    explanations: list[Explanation | ModelError] = []
    others: dict[float, list[Explanation | ModelError]] = {keep: [] for keep in sorted({*levels} - {settings.keep})}
    if not segments:
        yield None
    while segments:
        size = next(size for size in BATCHES if size <= len(segments))
        batch, segments = segments[:size], segments[size:]
        begun = explainer.start(batch, target, settings, versus, control)
        if not explanations:
            yield None
        found = explainer.explanations(begun, batch, settings)
        whole = [(clip, e) for clip, e in zip(batch, found, strict=True) if isinstance(e, Explanation)]
        for keep, share in others.items():
            again = iter(explainer.resynthesize(keep, *zip(*whole, strict=True)) if whole else ())
            share += [next(again) if isinstance(e, Explanation) else e for e in found]
        explanations += found
    yield None
    first = 0
    for path, audio in recordings:
        if isinstance(audio, AudioError):
            yield FileResult(path, error=str(audio))
            continue
        own = slice(first, first + len(explainer.segments(audio)))
        first = own.stop
        try:
            mine, *at = ([usable(e) for e in share[own]] for share in (explanations, *others.values()))
        except ModelError as error:
            yield FileResult(path, error=f"{path}: {error}")
            continue
        located = occlusion_maps(explainer, mine) if maps else None
        try:
            record = write_explanation(
                out, names[path], path, audio, mine, model, at, located, drawing, explainer.labels
            )
        except OSError as error:
            yield FileResult(path, error=f"{out}: cannot write there ({error.strerror}); choose another --out")
        else:
            yield FileResult(path, record=record)
