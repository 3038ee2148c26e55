"""Options come from the dataclass that they fill: names, defaults, types, choices, refusals."""

import argparse
import dataclasses

import pytest

from audex_jax.cli import UsageError
from audex_jax.cli.options import add_options, read_options
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import option


@dataclasses.dataclass(frozen=True)
class Coffee:
    cups: int = option(2, "100 % of what is made", metavar="CUPS")
    strength: float = option(0.5, "how strong")
    bean: str = option("arabica", "kind of bean", ("arabica", "robusta"))
    grind: int | str = option("auto", "microns, or auto")
    name: str | None = option(None, "written on the cup")
    milk: bool = option(False, "with milk")
    hot: bool = option(True, "not from the fridge")
    extras: tuple[str, ...] = option(("sugar",), "what goes with it", ("sugar", "cream"))
    sips: tuple[float, ...] = option((0.1, 0.25), "how much at once")
    recipe: str = "not offered"

    def __post_init__(self):
        if self.cups < 1:
            raise AudexError(f"cups is {self.cups}; make at least 1")


def parsed(*words: str, **limits) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Coffee, **limits)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("", {}),
        ("--cups 3 --strength 1 --bean robusta", {"cups": 3, "strength": 1.0, "bean": "robusta"}),
        ("--grind 400 --name Ada --milk --no-hot", {"grind": 400, "name": "Ada", "milk": True, "hot": False}),
        ("--grind fine --extras cream,sugar", {"grind": "fine", "extras": ("cream", "sugar")}),
        ("--sips 1,.5", {"sips": (1.0, 0.5)}),
    ],
)
def test_every_kind_of_field(words, fields):
    assert read_options(Coffee, parsed(*words.split())) == Coffee(**fields)


def test_some_fields_only():
    arguments = parsed(group="coffee", only=("cups", "milk"), leave_out=("milk",))
    assert set(vars(arguments)) == {"cups"}
    assert read_options(Coffee, arguments, recipe="mine") == Coffee(recipe="mine")


@pytest.mark.parametrize("words", ["--cups many", "--cups 1.5", "--bean rye", "--strength", "--sips 1,two"])
def test_values_that_no_field_takes(words):
    with pytest.raises(argparse.ArgumentError):
        parsed(*words.split())


def test_values_that_the_dataclass_refuses():
    with pytest.raises(UsageError, match="cups is 0; make at least 1"):
        read_options(Coffee, parsed("--cups", "0"))


def test_help_tells_defaults_and_choices():
    parser = argparse.ArgumentParser()
    add_options(parser, Coffee)
    text = " ".join(parser.format_help().split())
    assert "--cups CUPS 100 % of what is made (default: 2)" in text
    assert "--bean NAME kind of bean; one of arabica, robusta (default: arabica)" in text
    assert "--extras A,B,... what goes with it; from sugar, cream (default: sugar)" in text
    assert "--name TEXT written on the cup --milk with milk --hot, --no-hot" in text
