"""`audex study-score`: what listeners' answers say about each method."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

EXAMPLE = """
For each method, with 95 % intervals over listeners:
  named      share of sounds in which the listener heard what the model decided (chance: 1 / number of labels)
  sure       how sure the listener was, 1 to 5
  agreement  Krippendorff's alpha of the names that listeners gave to the same sound: 1 all agree, 0 as by chance
  preferred  share of comparisons that it won; "no difference" counts half
Then the first method against each other one: the difference in naming, comparisons won and lost, and for both the p of
a paired test over listeners and over clips (signs flipped; not corrected for several methods). Trust a difference that
holds over both.

examples:
  audex study-score answers/*.csv --study study
  audex study-score answers/*.csv --study study --out figures.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex study-score` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("answers", nargs="+", metavar="CSV", help="files that the listeners saved and sent back")
    parser.add_argument("--study", required=True, metavar="DIR", help="the --out folder of `audex study`")
    parser.add_argument("--out", metavar="FILE", help="also write all figures to FILE, .json")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex study-score`; the exit code."""
    from audex_jax.cli import bundles
    from audex_jax.evaluation.outputs import write_json
    from audex_jax.study.key import read_key
    from audex_jax.study.score import read_answers, score

    if arguments.out is not None:
        bundles.require_suffix(arguments.out, (".json",))
    key = read_key(arguments.study)
    answers = read_answers(arguments.answers, key)
    record = score(answers, key)
    for line in lines_of(record):
        print(line)
    if record["unfinished"]:
        print(f"audex study-score: listeners {record['unfinished']} did not finish", file=sys.stderr)
    if arguments.out is not None:
        write_json(arguments.out, record)
    return 0


def lines_of(record: dict[str, Any]) -> Iterator[str]:
    """The figures of a study as lines to print."""
    yield (
        f"study {record['study']}: {record['listeners']} of {record['planned_listeners']} listeners, "
        f"{record['named']} sounds named, {record['compared']} pairs compared"
    )
    form = "{:16} {:>18} {:>18} {:>18} {:>18}"
    yield form.format("method", "named", "sure", "agreement", "preferred")
    for method in record["methods"]:
        cells = [shown(method[name]) for name in ("accuracy", "sure", "agreement", "preferred")]
        yield form.format(method["method"], *cells)
    yield form.format("chance", f"{record['chance']:.2f}", "-", "0.00", "0.50")
    for versus in record["comparisons"]:
        one, other = versus["methods"]
        yield (
            f"{one} against {other}: named {shown(versus['accuracy'], '+')} ({shown_p(versus['accuracy_p'])}); "
            f"preferred {versus['won']} times, {other} {versus['lost']}, neither {versus['undecided']} "
            f"({shown_p(versus['preference_p'])})"
        )
    if record["first_preferred"] is not None:
        yield f"of two sounds the one heard first was preferred in {record['first_preferred']:.0%} (should be near 50%)"


def shown(value: tuple[float, float, float] | None, sign: str = "") -> str:
    """A mean and its interval, as far as they are known."""
    if value is None:
        return "-"
    from audex_jax.evaluation.statistics import bracket

    mean, low, high = value
    return f"{mean:{sign}.2f}{bracket(low, high, f'{sign}.2f')}"


def shown_p(values: dict[str, float | None]) -> str:
    """The p over listeners and over clips."""
    known = [f"{p:.2g} over {unit}" for unit, p in values.items() if p is not None]
    return f"p {', '.join(known)}" if known else "not tested"
