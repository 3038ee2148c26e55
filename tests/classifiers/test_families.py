"""What every family of classifiers promises: padding is nothing, order matters, dropout needs a key, bundles load."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.bundles import load_explainer, save_explainer
from audex_jax.classifiers.linear import LinearProbe
from audex_jax.codecs.mdct import MDCT, MDCTConfig
from audex_jax.core.registry import CLASSIFIERS
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model

SHAPES = {
    "transformer": {"dim": 6, "classes": 3, "frames": 60, "width": 8, "layers": 1, "heads": 2, "feed_forward": 16},
    "conv": {"dim": 6, "classes": 3, "width": 8, "layers": 2, "kernel": 3, "companding": 10.0},
    "linear": {"dim": 6, "classes": 3},
    "small-transformer": {"dim": 6, "classes": 3, "frames": 60, "width": 8, "feed_forward": 16},
    "log-mel": {"sample_rate": 1000, "classes": 3, "width": 8, "bands": 8},
}
pytestmark = pytest.mark.parametrize("family", SHAPES)


@pytest.fixture
def classifier(family):
    kind = CLASSIFIERS[family]
    return kind(kind.config_class.from_dict(SHAPES[family]), rngs=nnx.Rngs(0))


def clip_of(classifier, normal, count: int):
    return normal(count, 6 if classifier.reads == "latent" else 1)


@pytest.mark.slow
def test_padding_influences_nothing(classifier, normal):
    """Clips whose last frame, and last strides, are whole or not; behind them noise, or other lengths of zeros."""
    for own in (1, 7, 16, 33):
        clip = clip_of(classifier, normal, own)
        alone = classifier(clip, jnp.ones(own, bool))
        for total in (own + 1, 41, 60):
            padding = 100 * clip_of(classifier, normal, total - own)
            padded = classifier(jnp.concatenate([clip, padding]), jnp.arange(total) < own)
            np.testing.assert_allclose(padded, alone, atol=2e-5, err_msg=f"{own} of {total}")


@pytest.mark.slow
def test_no_gradient_reaches_padding_and_silence_has_a_finite_one(classifier, normal):
    slope = jax.grad(lambda z, valid: classifier(z, valid)[0])
    gradient = slope(clip_of(classifier, normal, 60), jnp.arange(60) < 35)
    assert not gradient[35:].any()
    assert np.abs(gradient[:35]).max() > 0
    for own in (0, 60):
        assert np.isfinite(slope(jnp.zeros_like(gradient), jnp.arange(60) < own)).all()


def test_frames_have_an_order(classifier, normal):
    if isinstance(classifier, LinearProbe):
        pytest.skip("its statistics know no order")
    clip, valid = clip_of(classifier, normal, 60) * jnp.linspace(0.1, 1, 60)[:, None], jnp.ones(60, bool)
    classify = jax.jit(lambda classifier, z, valid: classifier(z, valid))
    assert np.abs(classify(classifier, clip, valid) - classify(classifier, clip[::-1], valid)).max() > 1e-3


def test_dropout_needs_a_key_and_a_rate(classifier, normal):
    clip, valid = clip_of(classifier, normal, 60), jnp.ones(60, bool)
    plain = classifier(clip, valid)
    np.testing.assert_array_equal(classifier(clip, valid, 0.0, jax.random.key(0)), plain)
    np.testing.assert_array_equal(classifier(clip, valid, 0.5), plain)
    with jax.debug_key_reuse(True):
        one, two = (jax.jit(lambda key: classifier(clip, valid, 0.5, key))(jax.random.key(k)) for k in (0, 1))
    assert np.abs(one - two).max() > 1e-3


def test_bundles_load(classifier, normal, tmp_path):
    codec = MDCT(MDCTConfig("small", 1000, hop=6))
    save_explainer(tmp_path / "saved", Explainer(Model(codec, classifier, jnp.zeros(codec.dim)), "abc", 0.35), {})
    loaded = load_explainer(tmp_path / "saved").model.classifier
    clip, valid = clip_of(classifier, normal, 60), jnp.ones(60, bool)
    assert loaded.config == classifier.config
    np.testing.assert_array_equal(loaded(clip, valid), classifier(clip, valid))
