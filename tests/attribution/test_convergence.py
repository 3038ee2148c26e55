import re

import jax
import jax.numpy as jnp
import pytest

from audex_jax.attribution import convergence, integrated_gradients, logit

Z = jnp.array([[1.0, 2.0], [3.0, -0.5]])


def late(z):
    """Moves near the clip only."""
    return jax.nn.relu(z - 0.97 * Z).sum()


@pytest.mark.parametrize(
    ("f", "options", "reliable", "says"),
    [
        (lambda z: (z**2).sum(), {}, True, r"after 24 points .* 0\.2% "),
        (lambda z: (z**9).sum(), {"steps": 2}, False, "twice as many steps"),
        (lambda z: 0 * z.sum(), {}, False, "score the same"),
        (lambda z: jnp.sqrt(z[0, 0]), {"rule": "riemann-left"}, False, "leave out both ends"),
        (lambda z: logit(lambda z: z.sum(0), 0 * z[0, 0].astype(int) + 7)(z), {}, False, "Check the label"),
        (late, {"steps": "auto", "tolerance": 1.0, "most": 9}, False, "ranking still changes|sum is off"),
    ],
)
def test_each_case_is_told_with_its_remedy(f, options, reliable, says):
    found = convergence(jax.jit(lambda z: integrated_gradients(f, z, 0.0, **options))(Z))
    assert found.reliable is reliable
    assert re.search(says, found.message)


def test_a_ranking_that_changes_is_not_reliable_even_if_it_adds_up():
    result = integrated_gradients(lambda z: (z**2).sum(), Z, 0.0)._replace(overlap=jnp.float32(0.9))
    assert "10.0% of the top elements" in convergence(result).message
    assert not convergence(result).reliable
    assert convergence(result, overlap=0.85).reliable


def test_takes_one_clip():
    batch = jax.vmap(lambda z: integrated_gradients(lambda z: z.sum(), z, 0.0))(Z[None])
    with pytest.raises(ValueError, match="one clip"):
        convergence(batch)
