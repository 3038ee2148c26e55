"""Make a study: a page for listeners, which knows sounds by meaningless names only, and a key that tells them apart."""

import base64
import dataclasses
import hashlib
import importlib.metadata
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from audex_jax import __version__
from audex_jax.data.folder import read_folder
from audex_jax.data.inputs import list_inputs
from audex_jax.data.listing import audio_files
from audex_jax.explain.explainer import Explainer
from audex_jax.io.atomic import replacing, write_json
from audex_jax.io.audio import SILENCE_PEAK, flac_of, read_recording
from audex_jax.io.files import json_text
from audex_jax.report.document import data_element, embed, fill
from audex_jax.report.page import INSIDE_BYTES, PAGE
from audex_jax.study.design import Sheet, draw_sheets, names_for
from audex_jax.study.key import KEY_NAME, StudyError, read_key
from audex_jax.study.plan import StudyPlan
from audex_jax.study.sounds import explain_by, level_matched

PAGE_NAME = "study.html"
OWN = pathlib.Path(__file__).parent / "page"
ORIGINAL = "recording"  # in the key, the recording itself, which is heard while two explanations are compared


class Recording(NamedTuple):
    """A recording to ask about, and what is said in it, where the folder tells."""

    path: pathlib.Path
    label: str | None


class Written(NamedTuple):
    """A study on disk."""

    page: pathlib.Path
    key: pathlib.Path
    clips: int
    listeners: int
    questions: int


def recordings_of(data: str, split: str, seed: int) -> list[Recording]:
    """Recordings in the order in which they are taken: in turn from each label, drawn at random.

    Args:
        data: a labelled folder (see `audex_jax.data.folder`), a plain folder of recordings, a file, or `demo`.
        split: of a labelled folder.
        seed: of the draw.

    Raises:
        AudexError: nothing usable there.
    """
    folder = pathlib.Path(data)
    labelled = folder.is_dir() and ((folder / "splits.csv").exists() or _has_labels(folder))
    if labelled:
        found = read_folder(folder)
        rows = [Recording(clip.path, clip.label) for clip in found.split(split)]
        if not rows:
            raise StudyError(f"{data}: no clips in the {split} split ({found.split_by}); choose another --split")
    else:
        rows = [Recording(path, None) for path in list_inputs([data])]
    order = np.random.default_rng([seed, 2]).permutation(len(rows))
    taken: dict[str | None, int] = {}
    turns = []
    for i in order:
        turns.append((taken.setdefault(rows[i].label, 0), int(i)))
        taken[rows[i].label] += 1
    return [rows[i] for _, i in sorted(turns, key=lambda turn: turn[0])]


def write_study(
    explainer: Explainer,
    model: str,
    recordings: list[Recording],
    plan: StudyPlan,
    out: pathlib.Path,
    seen: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write `study.html` for listeners and `key.json` for those who ask, each whole or not at all.

    Args:
        explainer, model: what is explained, and its name.
        recordings: candidates; silent ones are passed over. Of long ones the first clip is taken.
        plan: what is asked.
        out: folder; made if it is not there.
        seen: called with the number of recordings explained so far.

    Raises:
        StudyError: nothing but silence, sounds too large for a page, or another study in the folder.
        AudioError: a recording that cannot be read.
    """
    clips, sounds = [], []
    for number, (path, label) in enumerate(recordings):
        if len(clips) == plan.clips:
            break
        audio = read_recording(path, explainer.sample_rate, explainer.model.codec.channels)
        audio = audio[: explainer.clip_samples]
        if np.abs(audio).max() < SILENCE_PEAK:
            continue
        target, probability, explained = explain_by(explainer, audio, plan.full_methods, plan.keep, plan.seed, number)
        explained = dict(zip(plan.methods, explained.values(), strict=True))
        sounds.append(level_matched(explained | {ORIGINAL: audio}))
        clips.append({"file": str(path), "label": label, "target": target, "target_probability": probability})
        seen(len(clips))
    if not clips:
        raise StudyError(f"none of {len(recordings)} recordings holds any sound; there is nothing to ask about")

    heard_as = [*plan.methods, ORIGINAL]
    names = iter(names_for(len(clips) * len(heard_as), plan.seed))
    name_of = {(clip, method): next(names) for clip in range(len(clips)) for method in heard_as}
    sheets = draw_sheets(len(clips), len(plan.methods), plan.planned_listeners, plan.seed)
    key: dict[str, Any] = {
        "model": model,
        "labels": list(explainer.labels),
        "plan": dataclasses.asdict(plan) | {"full_methods": plan.full_methods},
        "versions": {"audex-jax": __version__} | {name: importlib.metadata.version(name) for name in ("jax", "flax")},
        "clips": clips,
        "sounds": {name: {"clip": clip, "method": method} for (clip, method), name in name_of.items()},
        "listeners": len(sheets),
    }
    key = {"study": hashlib.sha256(json_text(key).encode()).hexdigest()[:8]} | key
    _refuse_another(out, key["study"])
    content = {
        "study": key["study"],
        "question": plan.question,
        "labels": key["labels"],
        "rate": explainer.sample_rate,
        "sheets": [_by_names(sheet, plan.methods, name_of, clips, key["labels"]) for sheet in sheets],
        "sounds": {
            name: base64.b64encode(flac_of(sounds[clip][method], explainer.sample_rate)).decode()
            for (clip, method), name in sorted(name_of.items(), key=lambda item: item[1])
        },
    }
    text = embed(content)
    if len(text) > INSIDE_BYTES:
        raise StudyError(f"the sounds come to {len(text) / 1e6:.0f} MB, too much for one page; take fewer clips")
    out.mkdir(parents=True, exist_ok=True)
    page, answers = out / PAGE_NAME, out / KEY_NAME
    write_json(answers, key, indent=1)
    with replacing(page) as temporary:
        temporary.write_text(document(text), encoding="utf-8", errors="replace")
    return Written(page, answers, len(clips), len(sheets), len(sheets[0].naming) + len(sheets[0].comparing))


def document(text: str) -> str:
    """The page's text; `text` is its content as `embed` gives it."""
    styles = [PAGE / "base.css", OWN / "study.css"]
    scripts = [PAGE / "dom.js", PAGE / "audio.js", OWN / "study.js"]
    parts = {"DATA": data_element("study", text)}
    return fill(OWN / "study.html", styles, scripts, parts)


def _has_labels(folder: pathlib.Path) -> bool:
    """Recordings in sub-folders and none beside them."""
    files = audio_files(folder)
    return bool(files) and all(path.parent != folder for path in files)


def _by_names(sheet: Sheet, methods: tuple[str, ...], name_of: dict, clips: list[dict], labels: list[str]) -> dict:
    """A sheet as the page gets it: names of sounds, and for pairs the recording and the label that is explained."""
    return {
        "naming": [name_of[clip, methods[method]] for clip, method in sheet.naming],
        "comparing": [
            [
                name_of[clip, methods[first]],
                name_of[clip, methods[second]],
                name_of[clip, ORIGINAL],
                labels.index(clips[clip]["target"]),
            ]
            for clip, first, second in sheet.comparing
        ],
    }


def _refuse_another(out: pathlib.Path, study: str) -> None:
    """Without its key, answers to a study that is under way would be worth nothing."""
    path = out / KEY_NAME
    if path.exists() and read_key(out)["study"] != study:
        raise StudyError(f"{path}: the key of another study; choose another --out, or move that study away")
