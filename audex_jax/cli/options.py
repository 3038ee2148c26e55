"""Options of a command, generated from the frozen dataclass that they fill.

A field `mask_steps: int = core.settings.option(4, "gradient steps")` becomes `--mask-steps N`. A bool becomes a flag, a
tuple takes its values with commas between them, the names of a `Registry` are listed. Other fields are not offered.
"""

import argparse
import dataclasses
import typing
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from audex_jax.cli import UsageError
from audex_jax.core.errors import AudexError
from audex_jax.core.registry import Registry

Filled = TypeVar("Filled")
MODEL = "mini-speech-commands"
METAVARS = {int: "N", float: "X", str: "TEXT"}


def add_options(
    parser: argparse.ArgumentParser,
    dataclass: type,
    *,
    group: str | None = None,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
) -> None:
    """Add an option for each field of a dataclass that was made by `core.settings.option`.

    Args:
        parser: of a command.
        dataclass: the options get its defaults.
        group: heading in `--help`.
        only, leave_out: names of fields.
    """
    where = parser.add_argument_group(group) if group else parser
    types = typing.get_type_hints(dataclass)
    for field in _offered(dataclass):
        if field.name not in leave_out and (only is None or field.name in only):
            where.add_argument(f"--{field.name.replace('_', '-')}", **_keywords(field, types[field.name]))


def read_options(dataclass: type[Filled], arguments: argparse.Namespace, **others: Any) -> Filled:
    """The dataclass that the options ask for.

    Args:
        dataclass: fields without an option keep their defaults.
        arguments: as the parser returns them.
        others: values of further fields.

    Raises:
        UsageError: the dataclass refuses a value.
    """
    given = {field.name: getattr(arguments, field.name) for field in _offered(dataclass) if field.name in arguments}
    try:
        return dataclass(**given | others)
    except AudexError as error:
        raise UsageError(error) from None


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, the explainer that a command asks, and the options of a classifier of one's own."""
    parser.add_argument("--model", default=MODEL, metavar="NAME|DIR", help=f"explainer (default: {MODEL})")
    add_source(parser)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add `--classifier` and what belongs to it; `cli.bundles.explainer_of` opens it."""
    from audex_jax.adapters.source import Source

    add_options(parser, Source, group="to explain a classifier of your own instead")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_codec(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add `--codec`, which `bundles.open_codec` opens; required without a default."""
    text = "codec: folder of its bundle, name of a bundled model, or FAMILY:ARGUMENT as in mdct:16000"
    text += f" (default: {default})" if default else ""
    parser.add_argument("--codec", required=default is None, default=default, metavar="NAME|DIR", help=text)


def listed(choices: Any) -> tuple[str, ...]:
    """Names that a field accepts."""
    return tuple(choices.names() if isinstance(choices, Registry) else choices or ())


def _offered(dataclass: Any) -> Iterator[dataclasses.Field]:
    return (field for field in dataclasses.fields(dataclass) if "help" in field.metadata)


def _keywords(field: dataclasses.Field, annotation: Any) -> dict[str, Any]:
    """Keywords of `add_argument` for a field of this type."""
    meaning = field.metadata["help"]
    if annotation is bool:
        action = argparse.BooleanOptionalAction if field.default else "store_true"
        return {"action": action, "default": field.default, "help": meaning.replace("%", "%%")}
    choices, several = listed(field.metadata["choices"]), typing.get_origin(annotation) is tuple
    members = typing.get_args(annotation) or (annotation,)
    kinds = [kind for kind in METAVARS if kind in members]
    metavar = "A,B,..." if several else "NAME" if choices else METAVARS[kinds[0]]
    text = f"{meaning}; {'from' if several else 'one of'} {', '.join(choices)}" if choices else meaning
    if field.default is not None:
        text += f" (default: {_shown(field.default)})"
    return {
        "type": _several(kinds) if several else _one(kinds),
        "default": field.default,
        "choices": choices if choices and not several else None,
        "metavar": field.metadata["metavar"] or metavar,
        "help": text.replace("%", "%%"),
    }


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _one(kinds: list[type]) -> Callable[[str], Any]:
    """A function that reads a value of the first of these types that fits it."""

    def read(text: str) -> Any:
        for kind in kinds:
            try:
                return kind(text)
            except ValueError:
                pass
        raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kinds == [int] else ''}number")

    return read


def _several(kinds: list[type]) -> Callable[[str], tuple]:
    """A function that reads values with commas between them."""
    read = _one(kinds)
    return lambda text: tuple(read(word.strip()) for word in text.split(",") if word.strip())
