"""DeepLIFT: its rules by hand, and a sum that is the difference whatever the function is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import deeplift

T, D = 7, 6
CLIPS = jax.random.normal(jax.random.key(1), (3, T, D))


def test_relu_by_hand():
    # x = z0 + z1 - 1 runs from -1 to 2, relu from 0 to 2: multiplier 2/3 for both inputs
    result = deeplift(lambda z: jax.nn.relu(z.sum() - 1), jnp.array([[2.0, 1.0]]), 0.0)
    np.testing.assert_allclose(result.attribution, [[4 / 3, 2 / 3]], rtol=1e-6)


def test_product_is_shared_evenly():
    z, baseline = jnp.array([[3.0, 5.0]]), jnp.array([[1.0, 2.0]])
    for f in (lambda z: z[0, 0] * z[0, 1], lambda z: jnp.dot(z[:, 0], z[:, 1])):
        np.testing.assert_allclose(deeplift(f, z, baseline).attribution, [[2 * 3.5, 3 * 2.0]], rtol=1e-6)


def attention(blocks, mask):
    """Of JAX, whole or in blocks of queries, which are computed again for the gradient."""

    def attend(z, queries):
        return jax.nn.dot_product_attention(queries, z, z[..., ::-1], mask=mask, implementation="xla")

    def f(z):
        z = z.reshape(T, 2, D // 2)
        if not blocks:
            return jnp.tanh(attend(z, z)[:6]).sum()
        parts = jax.lax.map(jax.checkpoint(lambda queries: attend(z, queries)), z[:6].reshape(2, 3, 2, D // 2))
        return jnp.tanh(parts).sum()

    return f


def recurrence(reverse):
    def f(z):
        def step(state, frame):
            state = jnp.tanh(2 * state + frame)
            return state, state * frame

        last, all_steps = jax.lax.scan(step, jnp.zeros(D), z, reverse=reverse)
        return last.sum() + (jnp.arange(T)[:, None] * all_steps).sum()

    return f


FUNCTIONS = {
    "softmax": lambda z: (jax.nn.softmax(z, axis=-1) * jnp.arange(6.0)).sum(),
    "gelu, exp": lambda z: (jax.nn.gelu(z) / (1 + jnp.exp(z))).sum(),
    "sigmoid": lambda z: jax.nn.sigmoid(z).prod(),
    "sqrt, log": lambda z: jnp.sqrt(jnp.square(z).sum() + 1) + jnp.log(jnp.abs(z).sum() + 2),
    "affine": lambda z: 2 * z.sum() + 1,
    "attention": attention(False, None),
    "attention, padded": attention(False, (jnp.arange(T) < 4)[None, None, :]),
    "attention in blocks": attention(True, None),
    "recurrence": recurrence(False),
    "recurrence, backwards": recurrence(True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sum_is_the_difference(name):
    explain = jax.jit(lambda z, z0: deeplift(FUNCTIONS[name], z, z0))
    cases = [(CLIPS[0], CLIPS[1])]
    if name.startswith(("softmax", "attention")):  # sharp far from the baseline, where multipliers must stay bounded
        cases += [(scale * CLIPS[0], 0 * CLIPS[1]) for scale in (1, 5 if name.startswith("attention") else 20)]
    for z, z0 in cases:
        result = explain(z, z0)
        difference = max(1, abs(result.value - result.baseline_value))
        assert abs(result.gap) < 1e-4 * difference
        if len(cases) > 1:
            assert np.abs(result.attribution).max() < 10 * difference


def test_sum_is_the_difference_through_the_whole_transformer(classifier_of):
    classifier = classifier_of(2, dim=D, classes=4)
    explain = jax.jit(jax.vmap(lambda z: deeplift(lambda z: classifier(z, jnp.ones(T, bool))[1], z, 0.0)))
    results = explain(CLIPS)
    assert np.abs(results.value - results.baseline_value).min() > 0.05
    np.testing.assert_allclose(results.gap, 0, atol=1e-4)
    np.testing.assert_allclose(explain(10 * CLIPS).gap, 0, atol=1e-3)  # attention is sharp there


def test_an_operation_without_a_rule_shows_in_the_gap():
    result = deeplift(lambda z: jnp.sort(z.ravel())[-1], jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 5.0]]))
    assert abs(result.gap) > 1
