"""The classifier: what padding, length and dropout may and may not change."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig, in_bfloat16

CONFIG = TransformerConfig(dim=6, classes=3, frames=20, width=16, layers=2, heads=4, feed_forward=32)


@pytest.fixture(scope="module")
def classifier() -> LatentTransformer:
    return LatentTransformer(CONFIG, rngs=nnx.Rngs(0))


def test_the_published_size_has_the_published_number_of_parameters():
    abstract = nnx.eval_shape(lambda: LatentTransformer(TransformerConfig(128, 35, 75), rngs=nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(abstract))) == 1_642_531


def test_padding_influences_nothing(classifier, normal):
    clip, junk = normal(12, 6), 100 * normal(8, 6)
    alone = classifier(clip, jnp.ones(12, bool))
    padded = classifier(jnp.concatenate([clip, junk]), jnp.arange(20) < 12)
    np.testing.assert_allclose(padded, alone, atol=2e-6)


def test_no_gradient_reaches_padding(classifier, normal):
    gradient = jax.grad(lambda z: classifier(z, jnp.arange(20) < 12)[0])(normal(20, 6))
    assert not gradient[12:].any()
    assert np.abs(gradient[:12]).min() > 0


def test_frames_have_places(classifier, normal):
    clip = normal(20, 6)
    valid = jnp.ones(20, bool)
    assert np.abs(classifier(clip, valid) - classifier(clip[::-1], valid)).max() > 1e-3


def test_dropout_needs_a_key_and_a_rate(classifier, normal):
    clip, valid = normal(20, 6), jnp.ones(20, bool)
    plain = classifier(clip, valid)
    np.testing.assert_array_equal(classifier(clip, valid, 0.0, jax.random.key(0)), plain)
    np.testing.assert_array_equal(classifier(clip, valid, 0.5), plain)
    one, two = (classifier(clip, valid, 0.5, jax.random.key(k)) for k in (0, 1))
    assert np.abs(one - two).max() > 1e-3


def test_companding_reads_the_latent_on_a_logarithmic_scale(classifier, normal):
    companding = LatentTransformer(dataclasses.replace(CONFIG, companding=10.0), rngs=nnx.Rngs(0))
    clip, valid = normal(20, 6), jnp.ones(20, bool)
    np.testing.assert_allclose(companding(clip, valid), classifier(jnp.arcsinh(10 * clip), valid), atol=1e-6)
    np.testing.assert_array_equal(classifier.compand(clip), clip)


def test_bad_configs_are_refused():
    with pytest.raises(ValueError, match="not divisible by 8 heads"):
        TransformerConfig(dim=6, classes=2, frames=5, width=20)
    with pytest.raises(ValueError, match="does not understand: colour"):
        TransformerConfig.from_dict({"dim": 6, "classes": 2, "frames": 5, "colour": "red"})


def test_no_key_is_used_twice(classifier, normal):
    clip, valid = normal(20, 6), jnp.ones(20, bool)
    with jax.debug_key_reuse(True):
        jax.jit(lambda key: classifier(clip, valid, 0.5, key))(jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize(("build", "tolerance"), [(lambda c: c, 1e-4), (in_bfloat16, 0.02)])
def test_forward_mode_agrees_with_reverse_mode(build, tolerance, classifier, normal):
    model, clip, direction = build(classifier), normal(7, 6), normal(7, 6)
    gradient = jax.grad(lambda z: model(z, jnp.arange(7) < 6)[0])
    value, slope = jax.jvp(lambda z: model(z, jnp.arange(7) < 6)[0], (clip,), (direction,))
    np.testing.assert_allclose(slope, (gradient(clip) * direction).sum(), rtol=tolerance, atol=tolerance)
    forward_over_reverse = jax.jvp(gradient, (clip,), (direction,))[1]
    reverse_over_reverse = jax.grad(lambda z: (gradient(z) * direction).sum())(clip)
    np.testing.assert_allclose(forward_over_reverse, reverse_over_reverse, rtol=tolerance, atol=tolerance * abs(value))


def test_products_in_bfloat16_are_close_and_not_the_same(classifier, normal):
    latent, valid = normal(7, 6), jnp.ones(7, bool)

    def gradients(model):
        return jax.grad(lambda model, z: model(z, valid)[0], argnums=(0, 1), allow_int=True)(model, latent)

    exact, rounded = (jax.tree.leaves(gradients(model)) for model in (classifier, in_bfloat16(classifier)))
    assert len(exact) == len(rounded)
    for one, other in zip(exact, rounded, strict=True):
        assert one.dtype == other.dtype == jnp.float32
        np.testing.assert_allclose(one, other, atol=0.05 * np.abs(one).max() + 1e-6)
    assert np.abs(exact[-1] - rounded[-1]).max() > 0
