"""The `audex` command: parses, calls, prints. One module a command, imported only when that command runs.

Exit codes: 0 done, 1 something failed, 2 wrong usage.
"""

import argparse
import gc
import importlib
import io
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from audex_jax import __version__
from audex_jax.core.errors import AudexError

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
    "train-codec": "train a codec of your own",
    "convert": "bring published EnCodec weights in: any file format, one bundle",
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


class UsageError(Exception):
    """A fault in how a command was called; exit code 2."""


def parser_for(argv: Sequence[str]) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser of all commands, and the module of the one that `argv` names; only that one is imported."""
    parser = argparse.ArgumentParser(
        prog="audex",
        description="Hear why an audio classifier decided as it did.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"audex-jax {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    asked = next((word for word in argv if not word.startswith("-")), None)
    module = None
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == asked:
            module = command_module(name)
            module.configure(command)
            command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser, module


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"audex_jax.cli.{name.replace('-', '_')}")


def in_words(error: BaseException) -> str:
    """One line that names what is wrong and, where the system refused, the file and what to do."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}; name another place, or make this one writable"
    return str(error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code.

    What a user can mend (`AudexError`, and files that cannot be read or written) is one line on stderr; any other
    error is ours and keeps its traceback.
    """
    gc.set_threshold(50_000)  # tracing makes millions of objects that stay; to look for garbage among them takes 0.7 s
    for stream in (sys.stdout, sys.stderr):  # names of files may hold what a terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, module = parser_for(argv)
    arguments = parser.parse_args(argv)  # exits with 2 on wrong usage
    assert module is not None
    try:
        return module.run(arguments)
    except (UsageError, AudexError, OSError, KeyboardInterrupt) as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"audex {arguments.command}: {in_words(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
