"""What a newcomer meets: doctor, models, completion, help with examples, errors in one line, and a quick start."""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tomllib

import pytest

import audex_jax
from audex_jax.cli import doctor, main

CONTRIBUTING = pathlib.Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_doctor_finds_nothing_bad_here(capsys):
    assert main(["doctor", "--json"]) == 0
    findings = {f["what"]: f for f in map(json.loads, capsys.readouterr().out.splitlines())}
    assert findings["jax"]["state"] == findings["mini-speech-commands"]["state"] == "ok"
    assert "cpu" in findings["devices"]["text"]
    assert {f["state"] for f in findings.values()} <= {"ok", "note"}


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="only in the source tree")
def test_doctor_knows_every_extra_that_users_may_want():
    for_developers = {"test", "parity", "bench", "docs", "browser", "cuda-compiler", "tpu"}
    project = tomllib.loads(CONTRIBUTING.with_name("pyproject.toml").read_text("utf-8"))["project"]
    offered = set(project["optional-dependencies"]) - for_developers
    assert {extra for _, extra in doctor.OPTIONAL.values()} == offered


def test_doctor_names_what_is_broken_and_fails(monkeypatch, tmp_path, capsys):
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "bundle.json").write_text("{}")
    monkeypatch.setattr("audex_jax.cli.models.bundled", lambda: [broken])
    monkeypatch.setattr(doctor, "NEEDED", ("jax", "no-such-package"))
    (tmp_path / "file").touch()
    monkeypatch.setattr("audex_jax.core.compilation.cache_folder", lambda: tmp_path / "file" / "cache")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "BAD   no-such-package" in said
    assert "BAD   broken" in said
    assert "note  compilation cache" in said
    assert "set AUDEX_CACHE" in said


def test_compiled_programs_are_kept_where_audex_cache_says(tmp_path):
    code = "import jax; from audex_jax.core.compilation import use_compilation_cache; use_compilation_cache(); "
    code += "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0); jax.jit(lambda x: x + 1)(1.0)"
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment["AUDEX_CACHE"] = str(tmp_path / "kept")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    assert any((tmp_path / "kept").iterdir())


def test_models_lists_bundles_and_shows_cards(tmp_path, monkeypatch, capsys, tiny_explainer):
    audex_jax.save_explainer(tmp_path / "mine", tiny_explainer, {"made_by": "test"})
    monkeypatch.chdir(tmp_path)
    assert main(["models"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["mini-speech-commands", "mine"]
    assert "explainer for 3 labels, clips of 1 s, codec tiny" in listed[1]
    assert main(["models", "mini-speech-commands"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mini-speech-commands: explainer")
    assert len(said.splitlines()) <= 12
    assert "17: bed, cat" in said
    assert main(["models", "mini-speech-commands", "--json"]) == 0
    assert "started_from" in json.loads(capsys.readouterr().out)["origin"]
    assert main(["models", "mine"]) == 0
    said = capsys.readouterr().out
    assert "made by     test" in said
    assert "WARNING" not in said
    assert main(["models", "other"]) == 1
    assert "other: not a bundle" in capsys.readouterr().err


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="only in the source tree")
def test_recipes_name_files_that_exist():
    named = re.findall(r"`((?:audex_jax|weights_conversion|tests)/[\w/.]+|\w+\.py)`", CONTRIBUTING.read_text("utf-8"))
    assert len(named) > 15
    root = CONTRIBUTING.parent
    folders = [root / folder for folder in ("audex_jax", "weights_conversion", "tests")]
    found = {name for name in named if (root / name).exists() or any(any(folder.rglob(name)) for folder in folders)}
    assert set(named) - found == set()


@pytest.mark.parametrize("where", [["--debug", "models", "nothing"], ["models", "nothing", "--debug"]])
def test_debug_shows_the_traceback(where, capsys):
    assert main(where) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("audex models: nothing: not a bundle")


def test_errors_of_ours_are_not_hidden(monkeypatch):
    def broken(arguments):
        raise ValueError("a programming error")

    monkeypatch.setattr("audex_jax.cli.models.run", broken)
    with pytest.raises(ValueError, match="a programming error"):
        main(["models"])


def test_help_of_every_command_is_there_without_jax():
    code = "import sys, audex_jax.cli as cli; cli.parser_of(cli.COMMANDS); sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("command", "most"),
    [("-c|import audex_jax", 1.2), ("-m|audex_jax.cli|explain|--help", 0.5)],
    ids=["import", "help"],
)
def test_the_start_is_quick(command, most):
    """Seconds of a processor, the best of three; the machine may be busy."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command.split("|")], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(seconds) < most


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "audex_jax.cli", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"audex-jax {audex_jax.__version__}\n")
