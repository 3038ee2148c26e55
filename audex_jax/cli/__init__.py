"""The `audex` command: parses, calls, prints. One module a command, imported only when that command runs.

Exit codes: 0 done, 1 something failed, 2 wrong usage.
"""

import argparse
import contextlib
import importlib
import io
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from audex_jax import __version__
from audex_jax.core.errors import AudexError, escaped, shown

# command -> one line of help. The module of that name holds `configure(parser)` and `run(arguments) -> exit code`;
# a dash in a command is an underscore in its module.
COMMANDS = {
    "explain": "explain recordings: which parts of the sound made the classifier decide",
    "evaluate": "measure how faithful explanations are, over a labelled folder",
    "check": "find out whether explanations of a model on your recordings can be trusted",
    "report": "one HTML page to hear and see explanations: no network, for one recording or thousands",
    "study": "ask people: a page on which they name and compare explanations, blind",
    "study-score": "score what people answered on the page of `audex study`",
    "batch": "explain millions of recordings: every device, any number of processes, resumable",
    "merge": "join the results of `audex batch` into one Parquet file",
    "prepare": "write recordings as a data set of TensorFlow Datasets, for `audex batch`",
    "train": "train a classifier on the latents of a codec",
    "train-explainer": "train the network that explains a model in one forward pass",
    "train-codec": "train a codec of your own",
    "convert": "bring published codec weights in: any file format, one bundle",
    "reconstruct": "hear what a codec keeps of a recording",
    "encode": "write the codes of a recording to an .npz file",
    "decode": "turn codes in an .npz file into a recording again",
    "export": "write a codec for PyTorch users (Hugging Face layout)",
    "models": "list the bundled and your own models, or show the card of one",
    "doctor": "check this installation: versions, devices, folders, what is missing and how to get it",
    "completion": "print a script that completes commands in your shell",
}

EXAMPLES = """
examples:
  audex explain demo --out explained
  audex train recordings --codec mini-speech-commands --out my-explainer
  audex explain yes.wav --model my-explainer --out explained
  audex COMMAND --help
"""
DESCRIPTION = "Hear why an audio classifier decided as it did."


class UsageError(Exception):
    """A fault in how a command was called; exit code 2."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Breaks lines between words only: names have hyphens."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Leaves it to `main` to say what is wrong with a call."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def parser_of(configured: Collection[str]) -> argparse.ArgumentParser:
    """The parser of all commands. Only those in `configured` are imported and have their options."""
    parser = Parser(prog="audex", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=Help)
    parser.add_argument("--version", action="version", version=f"audex-jax {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        description = text[0].upper() + text[1:] + "."
        command = commands.add_parser(name, help=text, description=description, formatter_class=Help)
        if name in configured:
            module = importlib.import_module(f"audex_jax.cli.{name.replace('-', '_')}")
            module.configure(command)
            command.set_defaults(run=module.run)
            command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def in_words(error: BaseException) -> str:
    """One line that names what is wrong and, where the system refused, the file and what to do."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return shown(f"{error.filename}: {error.strerror.lower()}; name another place, or make this one writable")
    return shown(error)


class Plain:
    """A stream on which control characters of names and labels stay text, so that they cannot steer a terminal."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(escaped(text, "\n\t"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT ends the command at once while something is imported: what Python raises there may be swallowed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        at = frame
        while at is not None:
            if at.f_code.co_filename.startswith("<frozen importlib"):
                os.write(2, b"audex: interrupted\n")
                os._exit(1)
            at = at.f_back
        raise KeyboardInterrupt

    usual = threading.current_thread() is threading.main_thread()
    usual = usual and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code.

    What a user can mend (`AudexError`, and files that cannot be read or written) is one line on stderr; any other
    error is ours and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):  # names of files may hold what a terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    argv = list(sys.argv[1:] if argv is None else argv)
    asked = next((word for word in argv if not word.startswith("-")), "")
    try:
        with interruptible(), contextlib.redirect_stdout(cast(TextIO, Plain(sys.stdout))):
            arguments = parser_of((asked,)).parse_args(argv)
            return arguments.run(arguments)
    except (UsageError, AudexError, OSError, KeyboardInterrupt) as error:
        if "--debug" in argv:
            traceback.print_exc()
        print(f"audex {shown(asked)}".strip() + f": {in_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
