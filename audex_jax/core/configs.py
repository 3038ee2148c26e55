"""Configs of codecs, classifiers and trainings: every field has a type and a range, and what does not fit is refused.

The annotations of a dataclass are the rules: `width: Annotated[int, Between(1, 65_536)]`, `Literal["a", "b"]`, `bool`,
`tuple[int, ...]`, `float | None`. Numbers have to be finite.
"""

import dataclasses
import functools
import math
import types
import typing
from typing import Annotated, Any, NamedTuple, TypeVar

from audex_jax.core.errors import AudexError, escaped, listing, shown

Config = TypeVar("Config")
MOST_ENTRIES, MOST_LETTERS = 100_000, 200


class Between(NamedTuple):
    """The range of a number, or of each number of a tuple; both ends belong to it."""

    least: float
    most: float


Size = Annotated[int, Between(1, 65_536)]  # channels, units
Rate = Annotated[int, Between(1, 1_000_000)]  # Hz
Depth = Annotated[int, Between(1, 256)]  # layers
Gain = Annotated[float, Between(0, 1e6)]
Share = Annotated[float, Between(0, 1)]


def check(config: Any) -> None:
    """Refuse a dataclass of which a field has the wrong type or is out of its range; for `__post_init__`.

    Raises:
        AudexError: names all such fields.

    >>> Shape = dataclasses.make_dataclass("Shape", [("width", Size)])
    >>> check(Shape(0))
    Traceback (most recent call last):
    audex_jax.core.errors.AudexError: Shape: width is 0, not a whole number from 1 to 65536
    """
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if faults := faults_of(type(config), fields):
        raise AudexError(f"{type(config).__name__}: {listing(faults)}")


def faults_of(cls: type, fields: dict[str, Any]) -> list[str]:
    """What is wrong with each of the fields of a dataclass that are given."""
    found = []
    for name, annotation in _annotations(cls).items():
        wanted = _misfit(annotation, fields[name]) if name in fields else None
        if wanted is not None:
            found.append(f"{name} is {shown(repr(fields[name]), 60)}, not {wanted}")
    return found


def config_from(cls: type[Config], fields: Any) -> Config:
    """Rebuild a frozen dataclass from the fields that JSON holds; lists become tuples.

    Raises:
        AudexError: a field is unknown, has the wrong value, or one without a default is missing.

    >>> Shape = dataclasses.make_dataclass("Shape", [("width", int), ("ratios", tuple[int, ...], (2, 2))], frozen=True)
    >>> config_from(Shape, {"width": 8, "ratios": [4, 2]})
    Shape(width=8, ratios=(4, 2))
    """
    if not isinstance(fields, dict):
        raise AudexError(f"{cls.__name__} is {shown(repr(fields), 60)}, not an object with fields")
    known = {f.name: f for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(fields.keys() - known.keys())
    if unknown:
        raise AudexError(f"{cls.__name__} has fields that this version does not understand: {listing(unknown)}")
    missing = sorted(name for name, f in known.items() if f.default is dataclasses.MISSING and name not in fields)
    if missing:
        raise AudexError(f"{cls.__name__} lacks the fields {', '.join(missing)}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    if faults := faults_of(cls, given):
        raise AudexError(f"{cls.__name__}: {listing(faults)}")
    return cls(**given)


@functools.cache
def _annotations(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]


def _misfit(annotation: Any, value: Any) -> str | None:
    """What a value would have to be, in words; None if it is."""
    between = None
    if typing.get_origin(annotation) is Annotated:
        annotation, between = typing.get_args(annotation)[:2]
    kind, members = typing.get_origin(annotation), typing.get_args(annotation)
    if kind in (typing.Union, types.UnionType):
        wanted = [_misfit(member, value) for member in members]
        return None if None in wanted else " or ".join(filter(None, wanted))
    if kind is typing.Literal:
        names = " or ".join(map(repr, members))
        return None if any(type(value) is type(member) and value == member for member in members) else names
    if kind is tuple and members[1:] == (...,):
        wanted = None if isinstance(value, tuple) and 0 < len(value) <= MOST_ENTRIES else "a list that is not empty"
        return wanted or next((f"a list, each {m}" for v in value if (m := _misfit(members[0], v))), None)
    if annotation in (int, float):
        return _misfit_of_number(annotation, between, value)
    if annotation is str:
        good = isinstance(value, str) and len(value) <= MOST_LETTERS and escaped(value) == value
        return None if good else f"text of at most {MOST_LETTERS} letters"
    if annotation is bool:
        return None if isinstance(value, bool) else "true or false"
    if annotation is type(None):
        return None if value is None else "nothing"
    return None


def _misfit_of_number(kind: type, between: Between | None, value: Any) -> str | None:
    number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    least, most = between or (-math.inf, math.inf)
    if number and least <= value <= most and abs(value) < math.inf:
        return None
    words = "a whole number" if kind is int else "a number"
    return f"{words} from {least:g} to {most:.10g}" if between else words
