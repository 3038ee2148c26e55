"""Mimi's own parts: attention over a sliding context, resampling, the split quantiser, codes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.mimi import PRESETS, TINY
from audex_jax.codecs.mimi.transformer import attend, rotate
from audex_jax.core.errors import AudexError
from audex_jax.io.codes import CodesError


@pytest.mark.parametrize(("frames", "context"), [(4, 4), (11, 4), (12, 4), (3, 1)])
def test_a_frame_attends_to_itself_and_those_before_it_that_the_context_holds(frames, context, normal):
    query, key, value = (normal(2, frames, 3, 4) for _ in range(3))
    ahead = np.arange(frames)[:, None] - np.arange(frames)
    scores = np.einsum("bqhw,bkhw->bhqk", query, key) / np.sqrt(4)
    weights = np.where((ahead >= 0) & (ahead < context), np.exp(scores), 0)
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhw->bqhw", weights, value)
    np.testing.assert_allclose(attend(query, key, value, context), expected, atol=1e-5)


def test_what_attention_sees_is_how_far_apart_frames_are(normal):
    one, other = (jnp.broadcast_to(normal(1, 1, 1, 8), (1, 9, 1, 8)) for _ in range(2))
    products = np.einsum("qw,kw->qk", rotate(one, 100.0)[0, :, 0], rotate(other, 100.0)[0, :, 0])
    for apart in range(-8, 9):
        diagonal = np.diagonal(products, apart)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-4, atol=1e-5)
    assert np.ptp(products[0]) > 0.1


def test_either_half_of_the_latent_is_one_quantisers(codec_of, normal):
    codec = codec_of(TINY)
    latent = normal(1, 7, TINY.dim)
    semantic, acoustic = codec.quantize(latent, 0.5), codec.quantize(latent, 2.0)
    assert not semantic[..., 3:].any()  # a codebook that is left out adds nothing
    assert acoustic[..., 3:].any()
    np.testing.assert_array_equal(semantic[..., :3], acoustic[..., :3])
    moved = codec.codes(latent.at[..., 3:].add(9.0), 2.0)
    np.testing.assert_array_equal(moved[..., 0], codec.codes(latent, 2.0)[..., 0])
    parts = [codec.quantizer.merge(latent.at[..., half].set(0)) for half in (slice(3), slice(3, None))]
    np.testing.assert_allclose(sum(parts), codec.quantizer.merge(latent), atol=1e-5)


def test_quantised_latents_pass_gradients_straight_through(codec_of, normal):
    codec, audio, lengths = codec_of(TINY), normal(1, 61, 1), jnp.array([61])

    @jax.jit
    def both(codec, audio):
        encode = lambda x, c: c.encode(x, lengths)  # noqa: E731
        return [(encode(audio, c), jax.grad(lambda x, c=c: encode(x, c).sum())(audio)) for c in (codec, codec.at(1.0))]

    (plain, slope), (rounded, same) = both(codec, audio)
    np.testing.assert_allclose(rounded, codec.quantize(plain, 1.0), atol=1e-6)
    np.testing.assert_allclose(same, slope, rtol=1e-4, atol=1e-5)


def test_codes_of_a_recording_are_played_by_the_codec_that_made_them(codec_of, normal):
    codec = codec_of(TINY)
    clip = codec.encode_codes(normal(50, 1), bandwidth=1.0)
    assert (clip.codes.shape, clip.bounds.tolist(), clip.samples) == ((7, 2), [0, 7], 50)
    assert codec.decode_codes(clip).shape == (50, 1)
    with pytest.raises(CodesError, match="the codes are of another"):
        codec.decode_codes(clip._replace(model="another"))
    with pytest.raises(CodesError, match="largest index 16"):
        codec.decode_codes(clip._replace(codes=clip.codes * 0 + 16))
    with pytest.raises(CodesError, match="7 frames in 1 segments are not those of 90 samples"):
        codec.decode_codes(clip._replace(samples=90))
    with pytest.raises(AudexError, match=r"no bandwidth 5 kbps; it offers 0.5, 1, 2"):
        codec.encode_codes(normal(50, 1), bandwidth=5.0)
    with pytest.raises(AudexError, match="no samples"):
        codec.encode_codes(jnp.zeros((0, 1)), bandwidth=1.0)
    with pytest.raises(AudexError, match="2 channels"):
        codec.encode_codes(jnp.zeros((9, 2)), bandwidth=1.0)


def test_the_published_shape():
    config = PRESETS["mimi-24khz"]
    assert (config.hop, config.frame_rate, config.dim) == (1920, 12.5, 512)
    assert config.bandwidths == (0.1375, 0.275, 0.55, 1.1, 2.2, 4.4)
    assert [config.codebooks_for(bandwidth) for bandwidth in config.bandwidths] == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"heads": 3}, "width 8 does not give 3 heads"),
        ({"heads": 8}, "an even number each"),
        ({"semantic_codebooks": 4}, "at least one has to be acoustic"),
        ({"compress": 3}, "compress"),
    ],
)
def test_shapes_that_cannot_be_are_refused(fields, message):
    with pytest.raises(AudexError, match=message):
        dataclasses.replace(TINY, **fields)
