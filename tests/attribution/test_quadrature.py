import numpy as np
import pytest

from audex_jax.attribution.quadrature import RULES, nodes_and_weights

DEGREE = {
    "riemann-middle": lambda n: 1,
    "riemann-trapezoid": lambda n: 1,
    "riemann-left": lambda n: 0,
    "riemann-right": lambda n: 0,
    "gauss-legendre": lambda n: 2 * n - 1,
    "clenshaw-curtis": lambda n: n - 1 + n % 2,
}


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


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        ("simpson", 4),
        ("riemann-middle", 0),
        ("riemann-trapezoid", 1),
        ("clenshaw-curtis", 1),
        ("gauss-legendre", -3),
        ("riemann-left", 2.5),
    ],
)
def test_refuses_what_is_no_rule(rule, steps):
    with pytest.raises(ValueError, match=r"choose one of|needs a whole number"):
        nodes_and_weights(rule, steps)
