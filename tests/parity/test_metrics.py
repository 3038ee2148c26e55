"""The same numbers as Quantus, Captum and SpeechBrain's formulas on random arrays.

Where they disagree with each other: Quantus perturbs the clip cumulatively over blocks for its infidelity and takes
200 draws within 0.2 for its maximal sensitivity, Captum takes draws of their own, 10 within 0.02; given the same draws
ours equals Captum's. SpeechBrain's recipes are in its repository and not in its package: their formulas stand here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import integrated_gradients
from audex_jax.evaluation.attribution_metrics import complexity, infidelity, max_sensitivity, sparseness
from audex_jax.evaluation.metrics import METRICS, Edited

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

RNG = np.random.default_rng(0)
LATENT, WEIGHT, ATTRIBUTION = (RNG.normal(size=(7, 6)).astype(np.float32) for _ in range(3))
DRAWS = 0.1 * RNG.normal(size=(5, 7, 6)).astype(np.float32)


def ours(z):
    return jnp.tanh(z * WEIGHT).sum() + (z**2).sum()


def theirs(z):
    import torch

    return torch.tanh(z * torch.from_numpy(WEIGHT)).sum((1, 2)) + (z**2).sum((1, 2))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("divided", [False, True])
def test_infidelity_is_captums(scaled, divided):
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("captum.metrics")
    drawn = torch.from_numpy(DRAWS)

    def perturb(inputs, baselines=None):
        return (drawn, inputs - drawn) if not divided else (drawn / inputs, inputs - drawn)

    reference = metrics.infidelity(
        theirs,
        perturb,
        torch.from_numpy(LATENT)[None],
        torch.from_numpy(ATTRIBUTION)[None],
        n_perturb_samples=5,
        normalize=scaled,
    )
    found = infidelity(ours, LATENT, ATTRIBUTION, DRAWS, scaled=scaled, factor=LATENT if divided else None)
    np.testing.assert_allclose(found, reference.item(), rtol=1e-4)


def test_max_sensitivity_is_captums():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("captum.metrics")
    saliency = pytest.importorskip("captum.attr").Saliency(theirs)
    reference = metrics.sensitivity_max(
        lambda x: saliency.attribute(x, abs=False),
        torch.from_numpy(LATENT)[None],
        perturb_func=lambda inputs: inputs + torch.from_numpy(DRAWS),
        n_perturb_samples=5,
    )
    np.testing.assert_allclose(max_sensitivity(jax.grad(ours), LATENT, DRAWS), reference.item(), rtol=1e-4)


def test_the_completeness_gap_is_captums():
    torch = pytest.importorskip("torch")
    path = pytest.importorskip("captum.attr").IntegratedGradients(theirs)
    _, delta = path.attribute(
        torch.from_numpy(LATENT)[None], n_steps=9, method="riemann_middle", return_convergence_delta=True
    )
    gap = integrated_gradients(ours, LATENT, 0.0, rule="riemann-middle", steps=9).gap
    np.testing.assert_allclose(gap, delta.item(), rtol=1e-3, atol=1e-5)


def test_sparseness_and_complexity_are_those_of_quantus():
    quantus = pytest.importorskip("quantus")
    rows = np.abs(ATTRIBUTION.astype(np.float64)).reshape(1, -1)  # in 0.6 complexity leaves the sign to its caller
    for metric, reference in ((sparseness, quantus.Sparseness), (complexity, quantus.Complexity)):
        measure = reference(disable_warnings=True, display_progressbar=False)
        expected = measure.evaluate_batch(rows.copy(), rows.copy())[0]
        np.testing.assert_allclose(metric(ATTRIBUTION), expected, rtol=1e-4)


def test_scores_of_inputs_are_speechbrains():
    torch = pytest.importorskip("torch")
    whole, kept, residual = (torch.softmax(3 * torch.from_numpy(RNG.normal(size=(40, 5))), 1) for _ in range(3))
    label = whole.argmax(1)
    pick = lambda p: p.gather(1, label[:, None])  # noqa: E731
    a, e, r = pick(whole), pick(kept), pick(residual)
    again, eagain = pick(torch.softmax(whole, 1)), pick(torch.softmax(kept, 1))
    edited = Edited(*(x.numpy() for x in (a, e, r, e > a, again, eagain)), (0.2,))
    expected = {
        "AI": 100 * (e > a),
        "AD": 100 * torch.relu(a - e) / (a + 1e-10),
        "AD of SpeechBrain": 100 * torch.relu(again - eagain) / (again + 1e-10),
        "AG": 100 * torch.relu(e - a) / (1 - a + 1e-10),
        "FF": a - r,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(METRICS[name](edited), value, rtol=1e-4, atol=1e-4, err_msg=name)
