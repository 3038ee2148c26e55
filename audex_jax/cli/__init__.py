"""The `audex` command: parses, calls, prints. One module a command, imported only when that command runs.

Exit codes: 0 done, 1 something failed, 2 wrong usage.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from audex_jax import __version__

# command -> one line of help. The module of that name holds `configure(parser)` and `run(arguments) -> exit code`;
# a dash in a command is an underscore in its module.
COMMANDS = {
    "explain": "explain recordings: which parts of the sound made the classifier decide",
    "evaluate": "measure how faithful explanations are, over a labelled folder",
    "check": "find out whether explanations of a model on your recordings can be trusted",
    "train": "train a classifier on the latents of a codec",
    "train-codec": "train a codec of your own",
    "convert": "bring published EnCodec weights in: any file format, one bundle",
    "reconstruct": "hear what a codec keeps of a recording",
    "encode": "write the codes of a recording to an .npz file",
    "decode": "turn codes in an .npz file into a recording again",
    "export": "write a codec for PyTorch users (Hugging Face layout)",
}


class UsageError(Exception):
    """A fault in how a command was called; exit code 2."""


def parser_for(argv: Sequence[str]) -> tuple[argparse.ArgumentParser, ModuleType | None]:
    """The parser of all commands, and the module of the one that `argv` names; only that one is imported."""
    parser = argparse.ArgumentParser(
        prog="audex", description="Hear why an audio classifier decided as it did.", epilog="audex COMMAND --help"
    )
    parser.add_argument("--version", action="version", version=f"audex-jax {__version__}")
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
            module = importlib.import_module(f"audex_jax.cli.{name.replace('-', '_')}")
            module.configure(command)
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser, module = parser_for(argv)
    arguments = parser.parse_args(argv)  # exits with 2 on wrong usage
    assert module is not None
    try:
        return module.run(arguments)
    except UsageError as error:
        print(f"audex {arguments.command}: {error}", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:  # what a user can mend; programming errors keep their traceback
        print(f"audex {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"audex {arguments.command}: interrupted", file=sys.stderr)
        return 1
