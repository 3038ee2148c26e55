"""Configs of codecs and classifiers that come from files: what is not understood is refused."""

import dataclasses
from typing import Any, TypeVar

from audex_jax.core.errors import AudexError

Config = TypeVar("Config")


def config_from(cls: type[Config], fields: dict[str, Any]) -> Config:
    """Rebuild a frozen dataclass from the fields that JSON holds; lists become tuples.

    Raises:
        AudexError: a field is unknown, or one without a default is missing.

    >>> Shape = dataclasses.make_dataclass("Shape", ["width", ("ratios", tuple, (2, 2))], frozen=True)
    >>> config_from(Shape, {"width": 8, "ratios": [4, 2]})
    Shape(width=8, ratios=(4, 2))
    """
    known = {f.name: f for f in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(fields.keys() - known.keys())
    if unknown:
        raise AudexError(f"{cls.__name__} has fields that this version does not understand: {', '.join(unknown)}")
    missing = sorted(name for name, f in known.items() if f.default is dataclasses.MISSING and name not in fields)
    if missing:
        raise AudexError(f"{cls.__name__} lacks the fields {', '.join(missing)}")
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})
