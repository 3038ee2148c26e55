"""Metrics against numbers worked out by hand and against what must hold of a linear function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import integrated_gradients
from audex_jax.evaluation.attribution_metrics import complexity, infidelity, max_sensitivity, sparseness
from audex_jax.evaluation.metrics import METRICS, Edited


def measured(name: str, whole: list, kept: list, residual: list, softened: tuple = (0, 0)) -> list:
    """A metric of several clips at one share."""
    columns = [np.array(values, float)[:, None] for values in (whole, kept, residual)]
    softened_whole, softened_kept = (np.full((len(whole), 1), x) for x in softened)
    edited = Edited(*columns, columns[1] > 0.5, softened_whole, softened_kept, (0.2,))
    return METRICS[name](edited).ravel().tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AI", [0, 100, 0, 0]),
        ("AD", [50, 0, 0, 100]),
        ("AG", [0, 50, 0, 0]),
        ("FF", [0.7, 0, 1, 1]),
        ("Fid-In", [0, 1, 1, 0]),
        ("sufficiency", [0.4, -0.25, 0, 1]),
        ("comprehensiveness", [0.7, 0, 1, 1]),
    ],
)
def test_metrics_of_four_clips_by_hand(name, expected):
    """Two clips, a perfect explanation and an empty one."""
    found = measured(name, [0.8, 0.5, 1, 1], [0.4, 0.75, 1, 0], [0.1, 0.5, 0, 0])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_second_softmax_bounds_the_drop():
    sure, lost = np.e / (np.e + 1), 1 / (np.e + 1)  # of two classes
    found = measured("AD of SpeechBrain", [1], [0], [0], (sure, lost))
    assert found[0] == pytest.approx(100 * (1 - 1 / np.e), rel=1e-5)


def test_shapes_at_their_limits(normal):
    even, one = jnp.ones((4, 6)), jnp.zeros((4, 6)).at[1, 2].set(-3.0)
    assert float(sparseness(even)) == pytest.approx(0, abs=1e-6)
    assert float(sparseness(one)) == pytest.approx(1 - 1 / 24, abs=1e-4)
    assert float(complexity(even)) == pytest.approx(np.log(24), rel=1e-5)
    assert float(complexity(one)) == pytest.approx(0, abs=1e-6)
    attribution, padded = normal(4, 6), normal(7, 6)
    padded = padded.at[:4].set(attribution)
    for metric in (sparseness, complexity):
        own = metric(padded, (jnp.arange(7) < 4)[:, None])
        assert float(own) == pytest.approx(float(metric(attribution)), rel=1e-5)
        assert float(metric(5 * attribution)) == pytest.approx(float(metric(attribution)), rel=1e-4)
        assert float(jax.jit(metric)(attribution)) == pytest.approx(float(metric(attribution)), rel=1e-5)


def test_a_linear_function_is_explained_without_a_fault(normal):
    weight, latent, baseline, drawn = normal(5, 3), normal(5, 3), normal(5, 3), normal(7, 5, 3)
    f = lambda z: (weight * z).sum()  # noqa: E731
    attribute = lambda z: integrated_gradients(f, z, baseline).attribution  # noqa: E731
    attribution = attribute(latent)
    assert float(infidelity(f, latent, attribution, drawn, factor=latent - baseline)) == pytest.approx(0, abs=1e-8)
    assert float(infidelity(f, latent, weight, drawn)) == pytest.approx(0, abs=1e-8)
    assert float(infidelity(f, latent, -weight, drawn)) > 1
    assert float(infidelity(f, latent, 3 * weight, drawn, scaled=True)) == pytest.approx(0, abs=1e-8)
    expected = max(np.linalg.norm(weight * i) for i in drawn) / np.linalg.norm(attribution)
    assert float(max_sensitivity(attribute, latent, drawn)) == pytest.approx(expected, rel=1e-4)


def test_chunks_change_nothing(normal):
    latent, attribution, drawn = normal(5, 3), normal(5, 3), normal(7, 5, 3)
    f = lambda z: jnp.tanh(z).sum()  # noqa: E731
    values = [float(infidelity(f, latent, attribution, drawn, chunk=c)) for c in (1, 3, 7)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)
    options = ({"chunk": 1}, {"chunk": 4}, {"own": jax.grad(f)(latent)})
    values = [float(max_sensitivity(jax.grad(f), latent, drawn, **option)) for option in options]
    assert values == pytest.approx([values[0]] * 3, rel=1e-6)


def test_elements_that_equal_the_baseline_predict_nothing(normal):
    latent = normal(2, 3).at[0, 0].set(0.0)
    found = infidelity(lambda z: z.sum(), latent, latent, jnp.ones((1, 2, 3)), factor=latent)
    assert float(found) == pytest.approx(1)  # the one element that is missing from the prediction
