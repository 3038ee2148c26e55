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

from audex_jax.cli import main

CASES = [
    (["expl"], ["explain"]),
    (["explain", "--rank"], ["--ranking"]),
    (["explain", "--ranking", "sig"], ["signed"]),
    (["explain", "--model", "mini"], ["mini-speech-commands"]),
    (["explain", "--model", "my-"], ["my-model"]),
    (["explain", "--quiet", "so"], ["some.wav"]),
    (["explain", "some.wav", "--rep"], ["--report"]),
    (["study", "--ques"], ["--question"]),
]


def needs(shell: str):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """A recording, a model, and a command `audex` that is there to be completed."""
    (tmp_path / "some.wav").touch()
    (tmp_path / "my-model").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "audex").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "audex").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(shell: str, capsys) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def said(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@needs("bash")
def test_bash(folder, capsys):
    """The function that `complete` was told, called as bash calls it."""
    lines = [script("bash", capsys)]
    for words, _ in CASES:
        quoted = " ".join(f"'{word}'" for word in ["audex", *words])
        lines += [f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; $function audex; echo ${{COMPREPLY[@]}}"]
    lines.insert(1, "function=$(complete -p audex | sed 's/.*-F \\([^ ]*\\).*/\\1/')")
    assert said("bash", "-c", "\n".join(lines)) == [" ".join(offered).rstrip("/") for _, offered in CASES]


@needs("fish")
def test_fish(folder, capsys):
    lines = [script("fish", capsys)]
    for words, _ in CASES:
        lines += [f"complete --do-complete '{' '.join(['audex', *words])}'"]
    found = said("fish", "--no-config", "-c", "\n".join(lines))
    assert [line.split("\t")[0].rstrip("/") for line in found] == [word for _, offered in CASES for word in offered]


@needs("zsh")
def test_zsh(folder, capsys):
    """An interactive shell behind a terminal: the key Tab completes; then the line is made the argument of `print`."""
    (folder / "functions").mkdir()
    (folder / "functions" / "_audex").write_text(script("zsh", capsys))
    file, end = pty.openpty()
    terminal = {"stdin": end, "stdout": end, "stderr": end, "start_new_session": True}
    shell = subprocess.Popen(["zsh", "-f", "-i"], env=os.environ | {"TERM": "dumb"}, **terminal)
    os.close(end)
    shown = ""

    def wait(pattern: str) -> str:
        nonlocal shown
        deadline = time.monotonic() + 20
        while not (found := re.search(pattern, shown)):
            assert time.monotonic() < deadline, f"{pattern} never appeared in {shown!r}"
            if select.select([file], [], [], 0.1)[0]:
                shown += os.read(file, 65536).decode(errors="replace")
        return found[1]

    try:
        os.write(file, b"bindkey -e; unsetopt beep; fpath+=(~/functions); autoload -Uz compinit; compinit -u\n")
        os.write(file, b"echo is-$((40 + 2))\n")
        wait("(is-42)")
        for number, (words, offered) in enumerate(CASES):
            os.write(file, (" ".join(["audex", *words]) + "\t").encode())
            time.sleep(0.5)
            os.write(file, f"\x01print -r -- 'line{number}'=\n".encode())
            line = wait(rf"\nline{number}=(?: )?audex ([^\r\n]*)")
            assert line.rstrip("/ ").split()[-1:] == offered
    finally:
        shell.kill()
        shell.wait()
        os.close(file)
