"""The record of one recording, checked before anything is made of it: it may come from anybody.

Every field has its type and range, as `explain.result` defines it; what stands at the top is what stands in the segment
that is the recording's chief one.
"""

import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from audex_jax.core.errors import AudexError, shown
from audex_jax.explain.result import columns

LONGEST_TEXT, MOST = 10_000, 100_000  # characters; entries of a table or list
SHARE = "0 to 1"
RECORDING = {
    "file": str, "address": str, "samples_sha256": str, "seconds": float, "unexplained_tail_seconds": float,
    "model": str, "sample_rate": int, "settings": dict[str, Any], "versions": dict[str, str], "segments": list,
    "files": dict[str, str],
}  # fmt: skip
PLACE = {"start_seconds": float, "end_seconds": float}


class ReportError(AudexError):
    """A folder or a record that no report can be made of; the message names it and says what to do."""


def chief(segments: Sequence[dict]) -> dict:
    """The segment that stands for a recording: of those with sound, the most certain one."""
    sounding = [segment for segment in segments if not segment["silent"]] or segments
    return max(sounding, key=lambda segment: segment["prediction_probability"])


def check_record(record: Mapping[str, Any]) -> None:
    """Check what stands in the JSON file of a recording.

    Raises:
        ReportError: a field is missing, of another type or out of its range, or contradicts another.
    """
    _check(record, RECORDING)
    _check_columns(record)
    rate, segments = record["sample_rate"], record["segments"]
    if not (0 < rate <= 10_000_000 and 0 < len(segments) <= MOST and 0 < record["seconds"] < 1e7):
        raise ReportError("sample_rate, segments or seconds are out of range")
    end = 0.0
    for segment in segments:
        check_segment(segment)
        if abs(segment["start_seconds"] - end) > 2 / rate:
            raise ReportError("its segments do not follow one another")
        end = segment["end_seconds"]
    if abs(end + record["unexplained_tail_seconds"] - record["seconds"]) > 2 / rate:
        raise ReportError("its segments are not of its length")
    for name, value in chief(segments).items():
        if name not in PLACE and (name not in record or record[name] != value):
            raise ReportError(f"{shown(name, 40)} is not that of its most certain segment")
    keeps = [level["keep"] for level in record["levels"]]
    if keeps.count(record["settings"].get("keep")) != 1 or len(set(keeps)) < len(keeps):
        raise ReportError("the shares that it keeps contradict each other")


def check_segment(segment: Any) -> None:
    """Check what a record or a row of a table says of one segment; see `check_record`."""
    if not isinstance(segment, dict):
        raise ReportError("a segment is no JSON object")
    _check(segment, PLACE)
    _check_columns(segment)
    if not 0 <= segment["start_seconds"] < segment["end_seconds"]:
        raise ReportError("a segment ends before it begins")
    levels = segment.get("levels")
    if not isinstance(levels, list) or not 0 < len(levels) <= MOST:
        raise ReportError("levels is missing or no list of shares")
    for level in levels:
        if not isinstance(level, dict):
            raise ReportError("a level is no JSON object")
        _check_columns(level, share=True)
    own = next((level for level in levels if level["keep"] == segment["keep"]), {})
    if any(own.get(one.name) != segment[one.name] for one in columns(share=True)):
        raise ReportError("its levels contradict it")
    for name in ("prediction", "target"):
        known = segment["probabilities"].get(segment[name])
        if known is not None and not math.isclose(known, segment[f"{name}_probability"], abs_tol=1e-5):
            raise ReportError(f"{name}_probability is not that among its probabilities")
    if segment["prediction"] != max(segment["probabilities"], key=segment["probabilities"].__getitem__, default=None):
        raise ReportError("prediction is not the most probable label")


def _check_columns(found: Mapping[str, Any], share: bool | None = None) -> None:
    _check(found, {one.name: one.type for one in columns(share)}, {one.name: one.metadata["unit"] for one in columns()})
    if not 0 < found["gain"] <= 1:
        raise ReportError("gain is not above 0 and up to 1")


def _check(found: Mapping[str, Any], kinds: Mapping[str, Any], units: Mapping[str, str] | None = None) -> None:
    missing = sorted(kinds.keys() - found.keys())
    if missing:
        raise ReportError(f"it lacks {', '.join(missing)}")  # written by an older version, for instance
    for name, kind in kinds.items():
        if not _fits(found[name], kind, (units or {}).get(name, "")):
            raise ReportError(f"{name} is {shown(repr(found[name]), 60)}, which it cannot be")


def _fits(value: Any, kind: Any, unit: str) -> bool:
    """Whether a value of JSON is of a type that a record names, and in the range of its unit."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict:
        whole = isinstance(value, dict) and len(value) <= MOST
        return whole and all(_fits(key, str, "") and _fits(item, inside[1], unit) for key, item in value.items())
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one, unit) for one in inside)
    if kind is Any:
        kinds = (str, bool, int, float, types.NoneType)
        return any(_fits(value, one, "") for one in kinds) or (isinstance(value, list) and len(value) <= 100)
    if kind is float:
        number = type(value) in (int, float) and abs(value) < 1e12  # so is no number that is not finite
        return number and (unit != SHARE or 0 <= value <= 1)
    return type(value) is kind and (kind is not str or len(value) <= LONGEST_TEXT)
