"""`audex completion`: a script that completes commands, options, choices, models and files."""

import argparse
from typing import Any

EXAMPLE = """
examples, once and for all:
  audex completion bash > ~/.local/share/bash-completion/completions/audex
  audex completion zsh > ~/.zfunc/_audex     with ~/.zfunc in fpath, before compinit in ~/.zshrc
  audex completion fish > ~/.config/fish/completions/audex.fish
"""
SHELLS = ("bash", "zsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex completion` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex completion`; the exit code."""
    import shtab

    from audex_jax.cli import COMMANDS, parser_of

    parser = parser_of(COMMANDS)
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for command in commands.choices.values():
        for action in command._actions:
            if (kind := _kind(action)) is not None:
                action.complete = kind  # pyright: ignore[reportAttributeAccessIssue]
    print(shtab.complete(parser, arguments.shell))
    return 0


def _kind(action: argparse.Action) -> Any:
    """What to offer for an argument that takes a path, by its metavar: files, folders, or models and folders."""
    import shtab

    metavar = str(action.metavar)
    if action.choices or not metavar.isupper():
        return None
    if metavar.startswith("NAME|") or metavar == "MODEL":
        return _models()
    if "DIR" in metavar and "FILE" not in metavar:
        return shtab.DIRECTORY
    return shtab.FILE if not action.option_strings or metavar == "FILE" else None


def _models() -> dict[str, Any]:
    """Names of the bundled models, and folders, in the words of each shell."""
    from audex_jax.cli.models import bundled

    names = " ".join(folder.name for folder in bundled())
    function = "_audex_models_or_dirs"
    bash = f'compgen -W "{names}" -- "$1"; compgen -d -- "$1"'
    zsh = f"_alternative 'models:model:({names})' 'folders:folder:_files -/'"
    return {
        "bash": function,
        "zsh": function,
        "fish": f"{names} (__fish_complete_directories)",
        "preamble": {"bash": f"{function}() {{ {bash}; }}", "zsh": f"{function}() {{ {zsh} }}"},
    }
