"""A mask network starts as the ranking by loudness, does not read padding, and travels in a bundle."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.bundles import BundleError, digest, load_explainer, save_explainer
from audex_jax.core.settings import Settings
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.mask_network import MaskNetwork, MaskNetworkConfig, hidden_evidence
from audex_jax.masking.rank import element_ranks

CONFIG = MaskNetworkConfig(dim=6, classes=3, hidden=8, width=8, layers=2, kernel=3)


@pytest.fixture(scope="module")
def network():
    """One that was trained for a while, as far as shapes tell: no kernel is zero."""
    network = MaskNetwork(CONFIG, rngs=nnx.Rngs(0))
    network.project_out.kernel[...] = 0.1 * jax.random.normal(jax.random.key(1), network.project_out.kernel.shape)
    return network


@pytest.fixture(scope="module")
def explainer(tiny_explainer, network):
    model = tiny_explainer.model._replace(mask_network=network)
    return Explainer(model, tiny_explainer.labels, tiny_explainer.clip_seconds)


def test_untrained_it_ranks_by_loudness(normal):
    latent, hidden, valid = normal(9, 6), (normal(9, 8), normal(9, 8)), jnp.ones(9, bool)
    score, _ = MaskNetwork(CONFIG, rngs=nnx.Rngs(0))(latent, hidden, jnp.int32(1), valid)
    np.testing.assert_array_equal(element_ranks(score, valid), element_ranks(jnp.abs(latent), valid))


def test_padding_changes_nothing(network, normal):
    latent, states, valid = normal(9, 6), normal(2, 9, 8), jnp.arange(9) < 6
    found = network(latent, tuple(states), jnp.int32(1), valid)
    other = network(latent.at[6:].set(5.0), tuple(states.at[:, 6:].set(-3.0)), jnp.int32(1), valid)
    alone = network(latent[:6], tuple(states[:, :6]), jnp.int32(1), valid[:6])
    for one in (other, alone):
        np.testing.assert_allclose(one[0][:6], found[0][:6], atol=1e-5)
        np.testing.assert_allclose(one[1], found[1], atol=1e-5)


def test_the_target_matters(network, normal):
    latent, hidden, valid = normal(9, 6), (normal(9, 8), normal(9, 8)), jnp.ones(9, bool)
    one, other = (network(latent, hidden, jnp.int32(target), valid)[0] for target in (0, 2))
    assert np.abs(one - other).max() > 1e-3


def test_evidence_adds_up_to_the_logit_where_the_head_is_linear(classifier_of, normal):
    classifier = classifier_of(1, dim=6, classes=3)
    latent, valid = normal(9, 6), jnp.arange(9) < 7
    hidden, evidence = hidden_evidence(classifier, latent, jnp.int32(1), valid)
    logit = classifier(latent, valid)[1] - classifier.project_out.bias[1]
    np.testing.assert_allclose(evidence.sum() / 7, logit, rtol=1e-4)
    np.testing.assert_allclose(hidden, classifier.hidden(latent, valid), atol=1e-6)


def test_it_travels_in_a_bundle(explainer, tmp_path, rng):
    save_explainer(tmp_path / "bundle", explainer, {"made_by": "test"})
    loaded = load_explainer(tmp_path / "bundle")
    assert digest(loaded) == digest(explainer)
    assert loaded.model.mask_network.config == CONFIG
    clip = (0.1 * rng.normal(size=1000)).astype(np.float32)
    settings = Settings(ranking="amortised")
    one, other = (e.explain_clips([clip], settings=settings)[0] for e in (explainer, loaded))
    np.testing.assert_array_equal(one.score, other.score)
    assert one.settings.method == "gradient-x-input"


@pytest.mark.parametrize(("field", "value", "says"), [("dim", 7, "do not fit"), ("classes", 4, "do not fit")])
def test_a_network_of_another_shape_is_refused(explainer, tmp_path, field, value, says):
    save_explainer(tmp_path / "bundle", explainer, {"made_by": "test"})
    path = tmp_path / "bundle" / "bundle.json"
    description = json.loads(path.read_text())
    description["mask_network"][field] = value
    path.write_text(json.dumps(description))
    with pytest.raises(BundleError, match=says):
        load_explainer(tmp_path / "bundle")


def test_a_network_for_another_model_is_refused(explainer, tmp_path):
    config = dataclasses.replace(CONFIG, classes=4)
    model = explainer.model._replace(mask_network=MaskNetwork(config, rngs=nnx.Rngs(0)))
    save_explainer(tmp_path / "bundle", Explainer(model, explainer.labels, 1.0), {"made_by": "test"})
    with pytest.raises(BundleError, match="mask_network: classes is 4, the model's is 3; train it again"):
        load_explainer(tmp_path / "bundle")
