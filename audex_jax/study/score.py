"""What listeners' answers say about each method: accuracy, agreement and preference, with intervals and tests.

Listeners and clips are both drawn from many; a difference is tested over each in turn: the differences of all
listeners (or clips) against zero by flipping their signs. It should hold over both. Intervals are over listeners.
"""

import csv
import io
import os
import pathlib
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from audex_jax.evaluation.statistics import RESAMPLES, bootstrap, sign_flip
from audex_jax.io.files import FileError, content
from audex_jax.study.key import Question, StudyError, questions_of

COLUMNS = ("study", "listener", "position", "task", "sound", "other", "answer", "sure", "plays", "seconds")
MOST_BYTES = 2**24  # of a file with answers
SURE = ("1", "2", "3", "4", "5")
Interval = tuple[float, float, float]  # mean, and the ends of its 95 % interval


class Naming(NamedTuple):
    """One sound that was named: by whom, which, as what ("" for "cannot tell"), and how sure, 1 to 5."""

    listener: int
    clip: int
    method: str
    answer: str
    sure: int


class Comparison(NamedTuple):
    """Two sounds of one clip that were compared; `preferred` is one of the two methods, or "" for no difference."""

    listener: int
    clip: int
    first: str
    second: str
    preferred: str


class Answers(NamedTuple):
    """All that listeners said."""

    naming: list[Naming]
    comparing: list[Comparison]


def read_answers(paths: Sequence[str | os.PathLike], key: dict[str, Any]) -> Answers:
    """Read the files that listeners saved.

    Args:
        paths: one file a listener.
        key: of the study.

    Raises:
        StudyError: a file that is not of this study, is broken, or two of one listener.
    """
    answers = Answers([], [])
    whose: dict[int, pathlib.Path] = {}
    sheets: dict[int, list[Question]] = {}
    for path in map(pathlib.Path, paths):
        given: set[tuple[int, int]] = set()
        for number, row in enumerate(_rows(path), start=2):
            try:
                if row["study"] != key["study"]:
                    raise ValueError(f"of the study {row['study']!r}, not of {key['study']!r}")
                listener = _number(row, "listener", key["listeners"])
                if any(listener != other for other, _ in given):
                    raise ValueError(f"of listener {listener}, as the lines before are not")
                if listener not in sheets:
                    sheets[listener] = questions_of(key, listener)
                position = _number(row, "position", len(sheets[listener]))
                if (listener, position) in given:
                    raise ValueError("the same question once more")
                given.add((listener, position))
                if (row["task"], row["sound"], row["other"]) != sheets[listener][position - 1]:
                    raise ValueError(f"not what listener {listener} was asked at position {position}")
                _take(row, listener, key, answers)
            except (KeyError, TypeError, ValueError) as error:
                raise StudyError(f"{path}, line {number}: {error}; use the file as the page saved it") from None
        for listener in {listener for listener, _ in given}:
            if listener in whose:
                raise StudyError(f"{whose[listener]} and {path}: both of listener {listener}; give one file for each")
            whose[listener] = path
    if not answers.naming:
        raise StudyError("no answers in these files; nothing to score")
    return answers


def _number(row: dict[str, str], column: str, most: int) -> int:
    """A whole number from 1 to `most`, written as the page writes it."""
    text = row[column]
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text) or int(text) > most:
        raise ValueError(f"{column} is {text!r}; it goes from 1 to {most}")
    return int(text)


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    try:
        text = content(path, MOST_BYTES).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (FileError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{path}: cannot be read ({error}); give files that listeners saved") from None
    missing = set(COLUMNS) - set(rows[0] if rows else ())
    if missing:
        raise StudyError(f"{path}: no answers of listeners (no column {', '.join(sorted(missing))})")
    return rows


def _take(row: dict[str, str], listener: int, key: dict[str, Any], answers: Answers) -> None:
    """Take the answer to a question that the listener was asked."""
    sounds = key["sounds"]
    sound = sounds[row["sound"]]
    if row["task"] == "naming":
        if row["answer"] not in ("", *key["labels"]):
            raise ValueError(f"no label {row['answer']!r} in this study")
        if row["sure"] not in SURE:
            raise ValueError(f"sure is {row['sure']!r}; it goes from 1 to 5")
        answers.naming.append(Naming(listener, sound["clip"], sound["method"], row["answer"], int(row["sure"])))
    else:
        if row["answer"] not in ("", row["sound"], row["other"]):
            raise ValueError(f"the answer {row['answer']!r} is neither of the two sounds")
        preferred = sounds[row["answer"]]["method"] if row["answer"] else ""
        other = sounds[row["other"]]["method"]
        answers.comparing.append(Comparison(listener, sound["clip"], sound["method"], other, preferred))


def score(answers: Answers, key: dict[str, Any]) -> dict[str, Any]:
    """All figures, as plain numbers that JSON can hold.

    Keys: `listeners`, `named`, `compared`, `chance` (of naming); `methods`, one record for each in the plan's order;
    `comparisons` of the first method with each other one; `first_preferred`, share of decided comparisons that went to
    the sound heard first, which ought to be a half; `unfinished`, the listeners who did not answer everything.
    """
    methods = key["plan"]["methods"]
    questions = len(key["clips"]) * (2 if len(methods) > 1 else 1)
    given = Counter(a.listener for a in (*answers.naming, *answers.comparing))
    decided = [c.preferred == c.first for c in answers.comparing if c.preferred]
    return {
        "study": key["study"],
        "listeners": len({n.listener for n in answers.naming}),
        "planned_listeners": key["listeners"],
        "named": len(answers.naming),
        "compared": len(answers.comparing),
        "chance": 1 / len(key["labels"]),
        "methods": [_method(name, answers, key) for name in methods],
        "comparisons": [_against(methods[0], other, answers, key) for other in methods[1:]],
        "first_preferred": float(np.mean(decided)) if decided else None,
        "unfinished": sorted(listener for listener, count in given.items() if count < questions),
    }


def _method(name: str, answers: Answers, key: dict[str, Any]) -> dict[str, Any]:
    own = [n for n in answers.naming if n.method == name]
    who = [n.listener for n in own]
    told = [n for n in own if key["clips"][n.clip]["label"] is not None]
    values = [_preference(c, name) for c in answers.comparing if name in (c.first, c.second)]
    judges = [c.listener for c in answers.comparing if name in (c.first, c.second)]
    return {
        "method": name,
        "named": len(own),
        "accuracy": _mean([_right(n, key) for n in own], who),
        "accuracy_by_label": _mean(
            [n.answer == key["clips"][n.clip]["label"] for n in told], [n.listener for n in told]
        ),
        "cannot_tell": float(np.mean([n.answer == "" for n in own])) if own else None,
        "sure": _mean([n.sure for n in own], who),
        "agreement": agreement([(n.clip, n.answer) for n in own if n.answer]),  # "cannot tell" is no name
        "compared": len(values),
        "preferred": _mean(values, judges),
    }


def _against(one: str, other: str, answers: Answers, key: dict[str, Any]) -> dict[str, Any]:
    compared = [c for c in answers.comparing if {c.first, c.second} == {one, other}]
    lead = [2 * _preference(c, one) - 1 for c in compared]
    record: dict[str, Any] = {
        "methods": [one, other],
        "won": sum(c.preferred == one for c in compared),
        "lost": sum(c.preferred == other for c in compared),
        "undecided": sum(c.preferred == "" for c in compared),
        "accuracy": None,
        "accuracy_p": {},
        "preference_p": {},
    }
    for unit in ("listener", "clip"):
        right = [
            mean_of_each([(getattr(n, unit), float(_right(n, key))) for n in answers.naming if n.method == method])
            for method in (one, other)
        ]
        apart = [right[0][u] - right[1][u] for u in right[0].keys() & right[1].keys()]
        record["accuracy_p"][unit + "s"] = sign_flip(np.asarray(apart, float))
        if unit == "listener":
            record["accuracy"] = _mean(apart, range(len(apart)))
        preferred = mean_of_each([(getattr(c, unit), value) for c, value in zip(compared, lead, strict=True)])
        record["preference_p"][unit + "s"] = sign_flip(np.array(list(preferred.values()), float))
    return record


def _right(naming: Naming, key: dict[str, Any]) -> bool:
    """Did the listener hear what the model decided?"""
    return naming.answer == key["clips"][naming.clip]["target"]


def _preference(comparison: Comparison, method: str) -> float:
    return 0.5 if not comparison.preferred else float(comparison.preferred == method)


def _mean(values: Sequence[float], listeners: Sequence[int]) -> Interval | None:
    """Mean with its 95 % interval over listeners; one listener tells no interval."""
    if not values:
        return None
    found = bootstrap(np.asarray(values, float), listeners)
    return float(found.mean), float(found.low), float(found.high)


def mean_of_each(values: Sequence[tuple[Hashable, float]]) -> dict[Hashable, float]:
    """Mean of the values of each unit, a listener or a clip."""
    units: dict[Hashable, list[float]] = {}
    for unit, value in values:
        units.setdefault(unit, []).append(value)
    return {unit: float(np.mean(own)) for unit, own in units.items()}


def agreement(named: Sequence[tuple[Hashable, Hashable]]) -> Interval | None:
    """Krippendorff's alpha for names: 1 if all give one clip one name, 0 if they agree as by chance.

    Krippendorff, Content Analysis, chapter "Reliability". The interval is a bootstrap over clips. Clips that fewer than
    two people named say nothing; None if no clip is left, or if only one name was ever given.

    Args:
        named: clip and name of each answer.

    >>> agreement([(0, "yes"), (0, "yes"), (1, "no"), (1, "no")])[0]
    1.0
    """
    names = {name: i for i, name in enumerate(dict.fromkeys(name for _, name in named))}
    clips = {clip: i for i, clip in enumerate(dict.fromkeys(clip for clip, _ in named))}
    counts = np.zeros((len(clips), len(names)))
    for clip, name in named:
        counts[clips[clip], names[name]] += 1
    counts = counts[counts.sum(1) > 1]
    if not len(counts):
        return None
    agreed = (counts * (counts - 1)).sum(1) / (counts.sum(1) - 1)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, len(counts))), draws])
    total = weights @ counts
    n, agreeing = total.sum(1), weights @ agreed
    expected = n**2 - np.square(total).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(expected > 0, 1 - (n - 1) * (n - agreeing) / expected, np.nan)
    if np.isnan(alpha[0]):
        return None
    low, high = np.nanquantile(alpha[1:], (0.025, 0.975))
    return float(alpha[0]), float(low), float(high)
