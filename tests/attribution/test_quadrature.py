import numpy as np
import pytest

from audex_jax.attribution.quadrature import FUNCTIONS, graded, graded_trapezoid_sum, nodes_and_weights
from audex_jax.core.settings import RULES

DEGREE = {
    "riemann-middle": lambda n: 1,
    "graded-middle": lambda n: 0,
    "riemann-trapezoid": lambda n: 1,
    "riemann-left": lambda n: 0,
    "riemann-right": lambda n: 0,
    "gauss-legendre": lambda n: 2 * n - 1,
    "clenshaw-curtis": lambda n: n - 1 + n % 2,
}


def test_every_rule_of_the_settings_is_there_and_tested():
    assert set(DEGREE) == set(RULES) == set(FUNCTIONS)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 3, 8, 33])
def test_weights_sum_to_one_on_ascending_nodes(rule, steps):
    nodes, weights = nodes_and_weights(rule, steps)
    assert nodes.shape == weights.shape == (steps,)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (np.diff(nodes) > 0).all()
    assert nodes[0] >= 0
    assert nodes[-1] <= 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 4, 7])
def test_exact_up_to_its_degree_and_not_beyond(rule, steps):
    nodes, weights = nodes_and_weights(rule, steps)
    degree = DEGREE[rule](steps)
    for power in range(degree + 1):
        assert weights @ nodes**power == pytest.approx(1 / (power + 1), abs=1e-12)
    assert abs(weights @ nodes ** (degree + 1) - 1 / (degree + 2)) > 1e-9


def test_graded_cells_are_short_near_the_baseline_and_resolve_what_happens_there():
    _, weights = nodes_and_weights("graded-middle", 16)
    assert weights[-1] / weights[0] == pytest.approx(np.e ** (3 * 15 / 16))
    steep = {rule: nodes_and_weights(rule, 16) for rule in ("graded-middle", "riemann-middle")}
    errors = {rule: abs((w / (a + 0.05)).sum() - np.log(1.05 / 0.05)) for rule, (a, w) in steep.items()}
    assert errors["graded-middle"] < 0.3 * errors["riemann-middle"]


@pytest.mark.parametrize("count", [1, 4, 32])
def test_the_graded_trapezoid_sum_is_that_of_the_rule(count):
    nodes, weights = nodes_and_weights("riemann-trapezoid", count + 1)
    assert graded_trapezoid_sum(count) == pytest.approx(weights @ graded(nodes)[1])


NONE = [("simpson", 4), ("riemann-middle", 0), ("riemann-trapezoid", 1), ("gauss-legendre", -3), ("riemann-left", 2.5)]


@pytest.mark.parametrize(("rule", "steps"), NONE)
def test_refuses_what_is_no_rule(rule, steps):
    with pytest.raises(ValueError, match=r"choose one of|needs a whole number"):
        nodes_and_weights(rule, steps)
