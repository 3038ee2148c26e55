"""The key of a study: which sound is which clip by which method. No JAX in here."""

import os
import pathlib
from typing import Any

from audex_jax.core.errors import AudexError
from audex_jax.io.files import FileError, json_object
from audex_jax.study.design import draw_sheet

KEY_NAME = "key.json"
PARTS = {"study": str, "plan": dict, "labels": list, "clips": list, "sounds": dict, "listeners": int}
Question = tuple[str, str, str]  # task, sound, and the other sound of a comparison


class StudyError(AudexError):
    """A study that cannot be made or scored; the message says what is wrong and what to do."""


def read_key(folder: str | os.PathLike) -> dict[str, Any]:
    """The key of the study in a folder.

    Raises:
        StudyError: none there, or one that no study wrote.
    """
    path = pathlib.Path(folder) / KEY_NAME
    try:
        key = json_object(path)
    except FileError as error:
        raise StudyError(f"{error}; give the --out folder of audex study") from None
    fault = fault_of(key)
    if fault:
        raise StudyError(f"{path}: not the key of a study ({fault}); give the --out folder of audex study")
    return key


def fault_of(key: dict[str, Any]) -> str:
    """What is wrong with a key, in words; empty if nothing is."""
    for name, kind in PARTS.items():
        if type(key.get(name)) is not kind:
            return f"{name} is missing or of another type"
    plan, labels, sounds = key["plan"], key["labels"], key["sounds"]
    methods, seed = plan.get("methods"), plan.get("seed")
    if not _names(methods) or type(seed) is not int or not 0 <= seed < 2**63:
        return "its plan has no methods or no seed"
    if not _names(labels) or not 0 < key["listeners"] <= 10**6:
        return "labels or listeners are none"
    for clip in key["clips"]:
        if (
            not isinstance(clip, dict)
            or clip.get("target") not in labels
            or type(clip.get("label", 0)) not in (str, type(None))
        ):
            return "a clip has no target or no label"
    places = set()
    for sound in sounds.values():
        if not isinstance(sound, dict) or type(sound.get("clip")) is not int or type(sound.get("method")) is not str:
            return "a sound has no clip or no method"
        places.add((sound["clip"], sound["method"]))
    wanted = {(clip, method) for clip in range(len(key["clips"])) for method in methods}
    if not wanted or not wanted <= places or len(places) < len(sounds):
        return "its sounds are not one for each clip and method"
    return ""


def questions_of(key: dict[str, Any], listener: int) -> list[Question]:
    """What a listener, counted from 1, is asked, in order."""
    methods = key["plan"]["methods"]
    name_of = {(sound["clip"], sound["method"]): name for name, sound in key["sounds"].items()}
    sheet = draw_sheet(len(key["clips"]), len(methods), listener - 1, key["plan"]["seed"])
    naming = [("naming", name_of[clip, methods[method]], "") for clip, method in sheet.naming]
    return naming + [
        ("comparing", name_of[clip, methods[one]], name_of[clip, methods[other]])
        for clip, one, other in sheet.comparing
    ]


def _names(found: Any) -> bool:
    """Whether this is a list of different texts."""
    return (
        isinstance(found, list) and bool(found) and all(type(n) is str for n in found) and len(set(found)) == len(found)
    )
