import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.attribution import deeplift, integrated_gradients
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig

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


@pytest.mark.parametrize(
    "f",
    [
        lambda z: jax.nn.softmax(z, axis=-1)[0, 1],
        lambda z: (jax.nn.gelu(z) / (1 + jnp.exp(z))).sum(),
        lambda z: jax.nn.sigmoid(z).prod(),
        lambda z: jnp.sqrt(jnp.square(z).sum() + 1) + jnp.log(jnp.abs(z).sum() + 2),
        lambda z: 2 * z.sum() + 1,
    ],
)
def test_sum_is_the_difference(f):
    result = jax.jit(lambda z: deeplift(f, z, CLIPS[1]))(CLIPS[0])
    assert abs(result.gap) < 1e-4 * max(1, abs(result.value - result.baseline_value))


def test_sum_is_the_difference_through_the_whole_transformer():
    config = TransformerConfig(dim=D, classes=4, frames=10, width=16, layers=2, heads=2, feed_forward=32)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))

    def explain(z):
        return deeplift(lambda z: classifier(z, jnp.ones(T, bool))[1], z, 0.0)

    run = jax.jit(jax.vmap(explain))
    far = run(10 * CLIPS)  # attention is sharp there
    np.testing.assert_allclose(far.gap, 0, atol=1e-3)
    results = run(CLIPS)
    assert np.abs(results.value - results.baseline_value).min() > 0.05
    np.testing.assert_allclose(results.gap, 0, atol=1e-4)
    alone = jax.jit(explain)(CLIPS[2])
    np.testing.assert_allclose(results.attribution[2], alone.attribution, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("valid", [None, jnp.arange(T) < 4], ids=["whole", "padded"])
@pytest.mark.parametrize("blocks", [False, True])
def test_sum_is_the_difference_through_the_attention_of_jax(valid, blocks):
    mask = None if valid is None else valid[None, None, :]

    def attend(z, queries):
        return jax.nn.dot_product_attention(queries, z, z[..., ::-1], mask=mask, implementation="xla")

    def f(z):
        z = z.reshape(T, 2, D // 2)
        if blocks:  # blocks of queries, one after the other, computed again for the gradient
            parts = jax.lax.map(jax.checkpoint(lambda queries: attend(z, queries)), z[:6].reshape(2, 3, 2, D // 2))
            return jnp.tanh(parts).sum()
        return jnp.tanh(attend(z, z)[:6]).sum()

    explain = jax.jit(lambda z, z0: deeplift(f, z, z0))
    for z, z0 in ((CLIPS[0], CLIPS[1]), (5 * CLIPS[0], 0 * CLIPS[1])):  # attention is sharp in the second
        result = explain(z, z0)
        difference = max(1, abs(result.value - result.baseline_value))
        assert abs(result.gap) < 1e-4 * difference
        assert np.abs(result.attribution).max() < 10 * difference


@pytest.mark.parametrize("reverse", [False, True])
def test_sum_is_the_difference_through_a_recurrence(reverse):
    def f(z):
        def step(state, frame):
            state = jnp.tanh(2 * state + frame)
            return state, state * frame

        last, all_steps = jax.lax.scan(step, jnp.zeros(D), z, reverse=reverse)
        return last.sum() + (jnp.arange(T)[:, None] * all_steps).sum()

    result = jax.jit(lambda z: deeplift(f, z, CLIPS[1]))(CLIPS[0])
    assert abs(result.gap) < 1e-4 * max(1, abs(result.value - result.baseline_value))


@pytest.mark.parametrize("scale", [1, 8, 20])
def test_softmax_keeps_its_sum_and_bounded_multipliers_far_from_the_baseline(scale):
    z = scale * CLIPS[0]
    result = jax.jit(lambda z: deeplift(lambda z: (jax.nn.softmax(z, axis=-1) * jnp.arange(6.0)).sum(), z, 0.0))(z)
    assert abs(result.gap) < 1e-4
    assert np.abs(result.attribution).max() < 10 * np.abs(result.value - result.baseline_value)


def test_equals_integrated_gradients_where_one_relu_decides():
    weight = jax.random.normal(jax.random.key(2), (T, D))

    def f(z):
        return jax.nn.relu((weight * z).sum() + 0.3)

    z = CLIPS[0] * jnp.sign((weight * CLIPS[0]).sum())
    path = integrated_gradients(f, z, -z, steps=2000, chunk=500)
    np.testing.assert_allclose(deeplift(f, z, -z).attribution, path.attribution, rtol=2e-3, atol=1e-4)


def test_an_operation_without_a_rule_shows_in_the_gap():
    result = deeplift(lambda z: jnp.sort(z.ravel())[-1], jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 5.0]]))
    assert abs(result.gap) > 1
