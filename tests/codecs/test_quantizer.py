"""The residual vector quantiser against its definition, one frame at a time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.codecs.encodec.config import PRESETS, TINY
from audex_jax.codecs.encodec.quantizer import ResidualVectorQuantizer, nearest

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.fixture
def quantizer() -> ResidualVectorQuantizer:
    return ResidualVectorQuantizer(TINY, rngs=nnx.Rngs(3))


def plain_codes(latent, codebooks):
    """The definition: each stage takes the nearest entry to what is left."""
    codes = np.zeros((*latent.shape[:2], len(codebooks)), int)
    residual = np.asarray(latent, np.float64)
    for stage, book in enumerate(codebooks.astype(np.float64)):
        distance = ((residual[:, :, None] - book) ** 2).sum(-1)
        codes[:, :, stage] = distance.argmin(-1)
        residual = residual - book[codes[:, :, stage]]
    return codes, residual


def test_codes_are_the_nearest_entries_of_what_is_left(quantizer, normal):
    latent = normal(3, 11, TINY.dim)
    books = np.asarray(quantizer.codebooks[...])
    codes, residual = plain_codes(latent, books)
    np.testing.assert_array_equal(quantizer.encode(latent, TINY.codebooks), codes)
    np.testing.assert_allclose(quantizer.decode(jnp.asarray(codes, jnp.int32)), latent - residual, atol=1e-5)


@pytest.mark.parametrize("stages", range(1, TINY.codebooks + 1))
def test_fewer_stages_give_the_first_codes(quantizer, stages, normal):
    latent = normal(2, 5, TINY.dim)
    whole = quantizer.encode(latent, TINY.codebooks)
    np.testing.assert_array_equal(quantizer.encode(latent, stages), whole[..., :stages])
    books = np.asarray(quantizer.codebooks[...])
    expected = sum(books[q][np.asarray(whole[..., q])] for q in range(stages))
    np.testing.assert_allclose(quantizer.decode(whole[..., :stages]), expected, atol=1e-6)


def test_ties_go_to_the_lowest_index():
    book = jnp.array([[2.0, 0.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(nearest(jnp.array([[1.0, 0.0], [0.0, 5.0]]), book), [1, 1])


def test_codes_do_not_change_under_jit_vmap_or_batch(quantizer, normal):
    latent = normal(4, 9, TINY.dim)
    codes = quantizer.encode(latent, 3)
    np.testing.assert_array_equal(jax.jit(lambda q, z: q.encode(z, 3))(quantizer, latent), codes)
    np.testing.assert_array_equal(jax.vmap(lambda z: quantizer.encode(z[None], 3)[0])(latent), codes)
    np.testing.assert_array_equal(quantizer.encode(latent[2:3], 3), codes[2:3])


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("encodec-24khz", {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32}),
        ("encodec-48khz", {3.0: 2, 6.0: 4, 12.0: 8, 24.0: 16}),
        ("encodec-32khz", {2.2: 4}),
        ("audiogen-16khz", {2.2: 4}),
        ("mini", {1.5: 5, 3.0: 10, 6.0: 20, 12.0: 40, 19.2: 64}),
    ],
)
def test_codebooks_of_each_bandwidth(name, stages):
    config = PRESETS[name]
    assert {b: config.codebooks_for(b) for b in config.bandwidths} == stages


def test_a_bandwidth_that_the_model_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"no bandwidth 5 kbps; it offers 1\.5, 3, 6, 12, 24"):
        PRESETS["encodec-24khz"].codebooks_for(5.0)


def test_a_bandwidth_below_one_codebook_still_uses_one():
    assert dataclasses.replace(TINY, bandwidths=(0.1,)).codebooks_for(0.1) == 1
