"""Every benchmark says its question and runs with a tiny model; what it prints of a comparison can be trusted."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import fidelity, measure

HERE = pathlib.Path(measure.__file__).parent
PARSED = sorted(path.stem for path in HERE.glob("*.py") if "parser_for(" in path.read_text(encoding="utf-8"))
MODULES = [name for name in PARSED if name != "measure"]


def run(module, *words, path):
    """What a benchmark writes, run by itself: these tests' fake devices, and the threads for these, are not its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "PJRT_NPROC", "XLA_FLAGS")}
    command = [sys.executable, "-m", f"benchmarks.{module}", "--small", "--repeats", "1", *words, "--json", str(path)]
    done = subprocess.run(command, env=environment, cwd=HERE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_help_opens_with_the_question(module, capsys):
    try:
        benchmark = importlib.import_module(f"benchmarks.{module}")
    except ModuleNotFoundError as missing:
        pytest.skip(f"needs {missing.name}")
    with pytest.raises(SystemExit):
        benchmark.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert said.split("options")[0].count("?") >= 1
    assert f"python -m benchmarks.{module}" in said


def test_runs_are_timed_in_turns():
    order = []

    def run(name, rest):
        order.append(name)
        time.sleep(rest)

    found = measure.in_turns({"slow": lambda: run("slow", 0.03), "fast": lambda: run("fast", 0.01)}, repeats=3)
    assert order == ["slow", "fast"] * 4
    assert 0.01 <= found["fast"].median < found["slow"].median
    assert measure.times_faster(found["fast"], found["slow"]) > 1.5
    assert found["slow"].record()["p10"] >= 0.03


def test_results_that_differ_have_no_speed():
    assert measure.must_agree("numbers", [1.0, 2.0], [1.0, 2.0001], 1e-3) == pytest.approx(5e-5, rel=1e-3)
    for wrong in (2.1, np.nan):
        with pytest.raises(measure.Disagreement, match="no speeds"):
            measure.must_agree("numbers", [1.0, wrong], [1.0, 2.0], 1e-3)


def test_rankings_are_apart_where_their_intervals_are():
    def curve(method, mode, agreement, half_width):
        low, high = ([a + sign * half_width for a in agreement] for sign in (-1, 1))
        names = {"method": method, "filler": "zero", "mode": mode, "domain": "audio"}
        return names | {"level": [0.0, 0.1, 0.2, 1.0], "agreement": agreement, "low": low, "high": high}

    curves = [
        curve("signed", "keep", [0.1, 0.9, 0.95, 1.0], 0.02),
        curve("signed", "delete", [1.0, 0.2, 0.06, 0.05], 0.02),
        curve("random", "keep", [0.1, 0.2, 0.92, 1.0], 0.02),
        curve("random", "delete", [1.0, 0.9, 0.05, 0.05], 0.02),
    ]
    record = {"plan": {"methods": ["signed", "random"]}, "curves": curves}
    assert [row["apart"] for row in fidelity.separation(record)] == [True, False, True, False]
    assert list(fidelity.separation_lines(record)) == [
        "- random: 2 of 4 apart; not keep 0.2 over zero, audio (0.950 against 0.920); "
        "not delete 0.2 over zero, audio (0.940 against 0.950; everything deleted: 0.950)"
    ]


def test_readme_names_benchmarks_options_and_results_that_exist():
    text = (HERE / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("|"), "the answer stands at the top"
    for module, options in re.findall(r"`(?:python -m benchmarks\.)?(\w+)((?: --?[\w-]+(?: [\w./,-]+)?)*)`", text):
        if module in MODULES:
            source = (HERE / f"{module}.py").read_text(encoding="utf-8") + pathlib.Path(measure.__file__).read_text()
            assert all(f'"{option}"' in source for option in re.findall(r"--[\w-]+", options)), (module, options)
    assert {path.name for path in (HERE / "results").glob("*")} == set(re.findall(r"results/([\w.-]+\.json)", text))


@pytest.mark.slow
def test_a_revision_agrees_with_itself_and_is_as_fast(tmp_path):
    found = run("pipeline", "--no-torch", "--against", str(HERE.parent), "--jobs", "same", path=tmp_path / "f")
    (row,) = found["rows"]
    assert row["kept alike"] == 1.0
    assert row["error"] < 1e-5
    assert 0.2 < row["x faster"] < 5
    assert 0.8 < row["MB ratio"] < 1.25


@pytest.mark.slow
def test_benchmarks_without_references(tmp_path):
    found = run("attribution", path=tmp_path / "attribution")
    rules = {(row["rule"], row["points"]): row for row in found["zero"]["rules"]}
    assert rules["graded-middle", 8]["overlap"] > 0.9
    assert {row["method"] for row in found["zero"]["methods"]} >= {"integrated-gradients", "random"}
    jobs = run("batch", path=tmp_path / "batch")["rows"]
    assert all(row["clips/s"] > 0 and row["rejects"] == 0 for row in jobs)
    waits = {row["what"]: row["median"] for row in run("coldstart", path=tmp_path / "coldstart")["rows"]}
    assert waits["python"] < waits["import jax"]
