"""Every benchmark says its question and runs with a tiny model; what it prints of a comparison can be trusted."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax import demo_clips
from benchmarks import compiled, fidelity, fidelity_tables, measure

HERE = pathlib.Path(measure.__file__).parent
PARSED = sorted(path.stem for path in HERE.glob("*.py") if "parser_for(" in path.read_text(encoding="utf-8"))
MODULES = [name for name in PARSED if name != "measure"]


def run(module, *words, path):
    """What a benchmark writes, run by itself: these tests' fake devices, and the threads for these, are not its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "PJRT_NPROC", "XLA_FLAGS")}
    rounds = () if module == "accelerators" else ("--repeats", "1")
    command = [sys.executable, "-m", f"benchmarks.{module}", "--small", *rounds, *words, "--json", str(path)]
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


def compared(low, p):
    where = {"against": "random", "against_filler": "zero", "mode": "keep", "domain": "audio", "level": 0.2}
    return where | {"difference": 0.5, "low": low, "high": 0.6, "p": p, "p_holm": p}


def test_what_cannot_be_told_is_a_dash():
    record = {"comparisons": [compared(0.4, 0.002), compared(None, None)]}
    told, untold = fidelity_tables.comparison_rows(record)
    assert [told[name] for name in ("advantage", "p", "p_holm")] == ["+0.500 [+0.400, +0.600]", "0.002", "0.002"]
    assert [untold[name] for name in ("advantage", "p", "p_holm")] == ["+0.500", "-", "-"]


def test_parts_of_fidelity_run_one_by_one_and_make_one_document(tmp_path, monkeypatch, capsys):
    done = []

    def rows(name):
        return lambda subject: done.append((name, len(subject.clips))) or [{"way": name, "share": 0.25, "p": None}]

    assert list(fidelity.PARTS) == list(fidelity_tables.TABLES)
    monkeypatch.setattr(fidelity, "PARTS", {name: rows(name) for name in fidelity.PARTS})
    monkeypatch.setattr(fidelity, "use_each_core_as_a_device", lambda: None)
    monkeypatch.setattr(fidelity, "use_compilation_cache", lambda: None)
    clip = fidelity.LabelledClip(demo_clips()[0], "yes", None, "test")
    monkeypatch.setattr(fidelity, "clips_of", lambda *given: [clip] * 50)
    given = [str(tmp_path), "--out", str(tmp_path / "out")]
    fidelity.main([*given, "--parts", "events"])
    fidelity.main([*given, "--parts", "controls,bands"])
    assert done == [("events", 48), ("controls", 50), ("bands", 48)]
    said = capsys.readouterr().out
    assert re.findall(r"\| (events|controls|bands) +\| 0.250 \| - \|", said) == [
        "events",
        "controls",
        "events",
        "bands",
    ]
    with pytest.raises(SystemExit):
        fidelity.main([*given, "--parts", "all"])
    (tmp_path / "out" / "bands.json").write_text('{"weights": "other", "figures": []}')
    with pytest.raises(SystemExit, match="another model"):
        fidelity.main([*given, "--parts", "events"])


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


TURNS = """HloModule m

FileNames
1 "audex_jax/codec.py"

FunctionNames
1 "f"

FileLocations
1 {file_name_id=1 function_name_id=1 line=7 end_line=7 column=1 end_column=2}

StackFrames
1 {file_location_id=1 parent_frame_id=1}

%moving (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %copy.1 = f32[2]{0} copy(%p)
}

%condition (t: (s32[], f32[2])) -> pred[] {
  %bound = s32[]{:T(128)} constant(75)
  %t = (s32[], f32[2]{0}) parameter(0)
  %i = s32[] get-tuple-element(%t), index=0
  ROOT %less = pred[] compare(%i, %bound), direction=LT
}

%body (t.1: (s32[], f32[2])) -> (s32[], f32[2]) {
  %t.1 = (s32[], f32[2]{0}) parameter(0)
  %order = f32[2]{0} sort(%t.1), dimensions={0}
  ROOT %work = (s32[], f32[2]{0}) fusion(%t.1), kind=kLoop, calls=%other, METADATA COST10
}

ENTRY %main (x: f32[2]) -> f32[2] {
  %x = f32[2]{0} parameter(0)
  %moved = f32[2]{0} fusion(%x), kind=kLoop, calls=%moving, COST50
  %loop = (s32[], f32[2]{0}) while(%moved), condition=%condition, body=%body
  %sum = f32[2]{0} all-reduce-start(%moved), to_apply=%other
  ROOT %y = f32[2]{0} get-tuple-element(%loop), index=1
}
"""


def test_cycles_of_a_program_count_loops_as_often_as_they_turn():
    text = re.sub(r"COST(\d+)", r'backend_config={"estimated_cycles":"\1"}', TURNS)
    found = compiled.tpu_costs(text.replace("METADATA", 'metadata={op_name="jit(f)/add" stack_frame_id=1},'))
    assert (found["cycles"], found["moves"]) == (50 + 75 * 10, 50)
    assert found["unpriced"] == 75
    assert found["dearest"] == {"codec.py:7 add": 750, " fusion (moves)": 50}
    assert (found["collectives"], found["transfers"]) == (1, 0)


def test_operations_are_counted_in_loops_and_in_convolutions():
    def program(x, kernel):
        y, _ = jax.lax.scan(lambda y, _: (y @ kernel[0], None), x[0], None, length=5)
        labels = ("NWC", "WIO", "NWC")
        convolve = jax.jit(lambda x: jax.lax.conv_general_dilated(x, kernel, (1,), [(0, 0)], dimension_numbers=labels))
        return convolve(x).sum() + y.sum()

    jaxpr = jax.make_jaxpr(program)(jnp.ones((1, 6, 4)), jnp.ones((3, 4, 4)))
    assert compiled.flops(jaxpr.jaxpr) == 5 * 2 * 6 * 4 * 4 + 2 * 4 * 3 * 4 * 4


@pytest.mark.slow
def test_the_tpus_compiler_is_asked_without_a_tpu(tmp_path):
    pytest.importorskip("libtpu", reason="needs the extra `tpu`")
    rows = run("accelerators", path=tmp_path / "accelerators")["rows"]
    assert [(row["program"], row["collectives"], row["transfers"]) for row in rows] == [
        ("encode", 0, 0),
        ("classify", 0, 0),
    ]
    assert all(row["Mcycles"] > 0 and 0 < row["of peak"] < 1 for row in rows)


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


@pytest.mark.parametrize(
    ("place", "wanted"), [("core/lanes.py", "256"), ("codecs/encodec/conv.py", "256"), ("pipeline.py", "none")]
)
def test_a_revision_of_any_layout_is_traced_as_a_tpu_is_given_it(place, wanted, tmp_path):
    file = tmp_path / "audex_jax" / place
    file.parent.mkdir(parents=True)
    for folder in (file.parent, *file.parent.parents):
        if folder.is_relative_to(tmp_path / "audex_jax"):
            (folder / "__init__.py").touch()
    file.write_text('LANES = {"tpu": 256}\n')
    name = f"audex_jax.{place[:-3].replace('/', '.')}"
    script = f"import sys, importlib; sys.path.append({str(HERE)!r}); import compiling\n"
    script += f"compiling.use_form_for('tpu'); print(importlib.import_module({name!r}).LANES.get('cpu', 'none'))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [wanted], done.stderr
