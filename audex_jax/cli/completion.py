"""`audex completion`: scripts that complete commands, options and their choices in bash, zsh and fish."""

import argparse
import shlex
from collections.abc import Iterator
from typing import NamedTuple

EXAMPLE = """
examples, once and for all:
  audex completion bash > ~/.local/share/bash-completion/completions/audex
  audex completion zsh >> ~/.zshrc
  audex completion fish > ~/.config/fish/completions/audex.fish
"""


class Option(NamedTuple):
    """An option of a command: how it is written, its help, and what it takes (None if it takes nothing)."""

    flag: str
    help: str
    takes: tuple[str, ...] | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex completion` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="your shell")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex completion`; the exit code."""
    print(fish() if arguments.shell == "fish" else bash(arguments.shell == "zsh"), end="")
    return 0


def options(command: str) -> Iterator[Option]:
    """The long options of a command, as its parser has them; names of bundled models are choices of their options."""
    from audex_jax.cli import command_module
    from audex_jax.cli.models import bundled

    parser = argparse.ArgumentParser()
    command_module(command).configure(parser)
    for action in parser._actions:
        for flag in action.option_strings:
            if flag.startswith("--"):
                choices = tuple(map(str, action.choices or ()))
                if flag in ("--model", "--codec") and not choices and command != "convert":
                    choices = tuple(folder.name for folder in bundled())
                help = (action.help or "").split(" (default")[0]
                yield Option(flag, help, None if action.nargs == 0 else choices)


def bash(for_zsh: bool) -> str:
    """Script for bash; zsh runs the same through its bash emulation."""
    from audex_jax.cli import COMMANDS

    cases, values = [], []
    for command in COMMANDS:
        known = list(options(command))
        cases.append(f"    {command}:-*) words={shlex.quote(' '.join(o.flag for o in known))} ;;")
        values += [
            f"    {command}:{o.flag}) words={shlex.quote(' '.join(o.takes))} ;;" for o in known if o.takes is not None
        ]
    lines = [
        *(["autoload -Uz compinit bashcompinit && compinit && bashcompinit"] if for_zsh else []),
        "_audex() {",
        '  local now="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}"',
        "  local words=",
        '  if [ "$COMP_CWORD" -eq 1 ]; then',
        f"    words={shlex.quote(' '.join(COMMANDS))}",
        "  else",
        '  case "$command:$before" in',
        *values,
        '  *) case "$command:$now" in',
        *cases,
        "  esac ;;",
        "  esac",
        "  fi",
        '  COMPREPLY=($(compgen -W "$words" -- "$now"))',
        '  [ -n "$words" ] || COMPREPLY=($(compgen -f -- "$now"))',
        "}",
        "complete -o filenames -F _audex audex",
    ]
    return "\n".join(lines) + "\n"


def fish() -> str:
    """Script for fish."""
    from audex_jax.cli import COMMANDS

    lines = []
    for command, text in COMMANDS.items():
        lines.append(f"complete -c audex -n __fish_use_subcommand -a {command} -d {shlex.quote(text)}")
        for option in options(command):
            takes = "" if option.takes is None else " -r"
            takes += f" -a {shlex.quote(' '.join(option.takes))}" if option.takes else ""
            lines.append(
                f"complete -c audex -n '__fish_seen_subcommand_from {command}' -l {option.flag[2:]}{takes} "
                f"-d {shlex.quote(option.help)}"
            )
    return "\n".join(lines) + "\n"
