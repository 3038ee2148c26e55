"""Every snippet and every command of the README runs as it is written."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="the README is only in the source tree")


def blocks(language: str) -> list[str]:
    return (
        re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
        if README.exists()
        else []
    )


@pytest.mark.parametrize("code", blocks("python"))
def test_python_snippets_run(code, tmp_path):
    environment = os.environ | {"AUDEX_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_the_main_command_explains_the_demo_clips(tmp_path):
    (line,) = [line for block in blocks("sh") for line in block.splitlines() if "audex explain demo" in line]
    command = line.split("&&")[1].split()
    assert command[0] == "audex"
    code = "import sys; from audex_jax.cli import main; sys.exit(main())"
    environment = os.environ | {"AUDEX_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, *command[1:]], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "explained").glob("*.explanation.wav"))) == len(done.stdout.splitlines()) > 0


def test_the_pictures_and_files_it_names_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (README.parent / target).exists(), target
    for module in re.findall(r"`(audex_jax/[\w/.]+)`", text):
        assert (README.parent / module).exists(), module
