"""Every benchmark runs, on next to nothing; the timing says what it measured."""

import json
import time

import numpy as np
import pytest

from benchmarks import coldstart, fidelity, measure, scaling
from benchmarks.arithmetic import flops_of


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


def test_flops_of_a_product_and_a_loop():
    import jax
    import jax.numpy as jnp

    a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
    assert flops_of(lambda a, b: a @ b, a, b) == 2 * 3 * 4 * 5
    looped = lambda a, b: jax.lax.scan(lambda c, _: (c + a @ b, None), jnp.zeros((3, 5)), None, length=7)  # noqa: E731
    assert flops_of(looped, a, b) == 7 * 2 * 3 * 4 * 5
    assert flops_of(lambda a, b: jax.jit(lambda a, b: (a @ b, (a + 1) @ b))(a, b)[0], a, b) == 2 * 3 * 4 * 5


def test_rankings_are_apart_where_their_intervals_are():
    def curve(method, mode, agreement, half_width):
        low, high = ([a + sign * half_width for a in agreement] for sign in (-1, 1))
        names = {"method": method, "filler": "zero", "mode": mode, "way": "audio"}
        return names | {"level": [0.0, 0.1, 0.2, 1.0], "agreement": agreement, "low": low, "high": high}

    curves = [
        curve("refined", "keep", [0.1, 0.9, 0.95, 1.0], 0.02),
        curve("refined", "delete", [1.0, 0.2, 0.06, 0.05], 0.02),
        curve("random", "keep", [0.1, 0.2, 0.92, 1.0], 0.02),
        curve("random", "delete", [1.0, 0.9, 0.05, 0.05], 0.02),
    ]
    record = {"plan": {"methods": ["refined", "random"]}, "curves": curves}
    assert [row["apart"] for row in fidelity.separation(record)] == [True, False, True, False]
    assert fidelity.separation_markdown(record) == [
        "- random: 2 of 4 apart; not keep 0.2 over zero, audio (0.950 against 0.920); "
        "not delete 0.2 over zero, audio (0.940 against 0.950; everything deleted: 0.950)"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("module", "words"), [(scaling, ["--series", "clips"]), (coldstart, [])])
def test_a_benchmark_without_references(module, words, tmp_path, capsys):
    module.main(["--small", "--repeats", "1", *words, "--json", str(tmp_path / "figures.json")])
    assert {"environment"} < set(json.loads((tmp_path / "figures.json").read_text()))
    assert capsys.readouterr().out
