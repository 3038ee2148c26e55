"""What `audex completion` prints, in the real shells: the keys that a user presses, the words that appear."""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from audex_jax.cli import COMMANDS, main
from audex_jax.cli.completion import bash, fish

CASES = [
    (["expl"], ["explain"]),
    (["explain", "--ra"], ["--ranking"]),
    (["explain", "--ranking", "sig"], ["signed"]),
    (["explain", "--model", "mini"], ["mini-speech-commands"]),
    (["explain", "--quiet", "so"], ["some.wav"]),
    (["explain", "some.wav", "--rep"], ["--report"]),
    (["study", "--ques"], ["--question"]),
]


def needs(shell: str):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A recording, and a command `audex` that is there to be completed."""
    (tmp_path / "some.wav").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "audex").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "audex").chmod(0o755)
    return tmp_path


@needs("bash")
@pytest.mark.parametrize(("words", "offered"), [*CASES, (["completion", "--"], ["--help"])])
def test_bash(words, offered, folder):
    (folder / "audex.sh").write_text(bash(for_zsh=False))
    quoted = " ".join(f"'{word}'" for word in ["audex", *words])
    script = (
        f'source ./audex.sh; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _audex; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == offered
    assert done.stderr == ""


@needs("fish")
@pytest.mark.parametrize(("words", "offered"), CASES)
def test_fish(words, offered, folder):
    (folder / "audex.fish").write_text(fish())
    line = " ".join(["audex", *words])
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source audex.fish; complete --do-complete '{line}'"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HOME": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == offered
    assert done.stderr == ""


class Terminal:
    """An interactive zsh behind a terminal."""

    def __init__(self, folder: pathlib.Path):
        self.file, other_end = pty.openpty()
        environment = os.environ | {"HOME": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.shell = subprocess.Popen(
            ["zsh", "-f", "-i"],
            cwd=folder,
            env=environment | {"TERM": "dumb"},
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
        )
        os.close(other_end)
        self.said = ""

    def type(self, keys: str) -> None:
        os.write(self.file, keys.encode())

    def wait(self, pattern: str, seconds: float = 20) -> str:
        """The first group of the pattern, once it has appeared."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < end, f"{pattern} never appeared in {self.said!r}"
            if select.select([self.file], [], [], 0.1)[0]:
                self.said += os.read(self.file, 65536).decode(errors="replace")
        return found[1]

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.file)


@needs("zsh")
def test_zsh(folder):
    (folder / "audex.zsh").write_text(bash(for_zsh=True))
    terminal = Terminal(folder)
    try:
        terminal.type("bindkey -e; unsetopt beep; source ./audex.zsh; echo is-$((40 + 2))\n")
        terminal.wait("(is-42)")
        for number, (words, offered) in enumerate(CASES):
            # the key Tab completes; then the line is turned into the argument of a command that shows it
            terminal.type(" ".join(["audex", *words]) + "\t")
            time.sleep(0.5)
            terminal.type(f"\x01print -r -- 'line{number}'=\n")
            said = terminal.wait(rf"\nline{number}=(?: )?audex ([^\r\n]*)")
            assert said.split()[-1:] == offered
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_known(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)
