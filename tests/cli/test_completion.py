"""What `audex completion` prints, in the real shells."""

import os
import pathlib
import shutil
import subprocess

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
    """The script loads and is what completes `audex`; models and folders are offered by our own part of it."""
    (folder / "_audex").write_text(script("zsh", capsys))
    load = 'autoload -Uz compinit; compinit -u; eval "$(<_audex)"; print $_comps[audex]'
    ours = "_alternative() { print -l -- $@ }; _audex_models_or_dirs"
    completer, models, folders = said("zsh", "-f", "-c", f"{load}; {ours}")
    assert completer == "_shtab_audex"
    assert "mini-speech-commands" in models
    assert "_files -/" in folders
