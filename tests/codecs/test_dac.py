"""What is DAC's own: lengths, quantiser, the three latents, codes, and golden arrays of `tests/golden/make_dac.py`."""

import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.dac import PRESETS, TINY, Dac, DacConfig
from audex_jax.codecs.dac.quantizer import nearest
from audex_jax.core.errors import AudexError
from audex_jax.io import codes
from weights_conversion import convert_codec
from weights_conversion.family import config_of
from weights_conversion.sources import Source

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
run = jax.jit(lambda codec, audio: (codec.encoder(audio), *codec.quantizer.encode(codec.encoder(audio), codec.stages)))
encode = jax.jit(lambda codec, audio, lengths: codec.encode(audio, lengths))
decode = jax.jit(lambda codec, latent, samples: codec.decode(latent, samples), static_argnums=2)


@pytest.fixture
def codec(codec_of) -> Dac:
    return codec_of(TINY)


@pytest.mark.usefixtures("optimised")
def test_port_reproduces_the_golden_arrays():
    with np.load(GOLDEN / "dac.npz") as file:
        golden = dict(file)
    assert set(json.loads(str(golden["made_with"]))) == {"torch", "transformers", "seed"}
    shapes = json.loads(str(golden["shapes"]))
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])
    parts = np.split(golden["weights"], ends[:-1])
    weights = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
    codec = convert_codec(Source("golden", weights, config_of(json.loads(str(golden["config"])), "golden"), {}))
    continuous, found, entries = run(codec, jnp.asarray(golden["audio"]))
    np.testing.assert_array_equal(found, golden["codes"])
    projected = entries.reshape(*entries.shape[:2], -1)
    for ours, theirs in (
        (continuous, golden["continuous"]),
        (codec.quantizer.sum(entries), golden["quantised"]),
        (decode(codec, projected, golden["decoded"].shape[1]), golden["decoded"]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(("name", "size"), [("dac-16khz", 8), ("dac-24khz", 8), ("dac-44khz", 0), (TINY.name, 2)])
def test_the_decoder_ends_before_the_last_frame_does(name, size):
    """By the samples that odd strides lose; the codec's own audio has the length that is asked for."""
    config = PRESETS[name]
    codec = jax.eval_shape(lambda: Dac(config, rngs=None))
    made = jax.eval_shape(lambda codec: codec.decoder(jnp.zeros((1, 50, config.dim))), codec)
    assert made.shape == (1, 50 * config.hop - size, 1)
    audio = jax.eval_shape(lambda codec: codec.decode(jnp.zeros((1, 50, codec.dim)), 50 * config.hop), codec)
    assert audio.shape == (1, 50 * config.hop, 1)


def test_clips_are_filled_up_to_whole_frames_of_which_the_encoder_would_leave_the_last_one_out():
    config = PRESETS["dac-24khz"]
    codec = jax.eval_shape(lambda: Dac(config, rngs=None))
    alone = jax.eval_shape(lambda codec: codec.encoder(jnp.zeros((1, 15_877, 1))), codec)
    whole = jax.eval_shape(lambda codec: codec.encode(jnp.zeros((1, 15_877, 1)), jnp.array([15_877])), codec)
    assert (alone.shape[1], whole.shape[1], codec.frames(15_877)) == (49, 50, 50)


@pytest.mark.parametrize(
    ("name", "parameters", "dim"),
    [("dac-16khz", 74.1, 96), ("dac-24khz", 74.7, 256), ("dac-44khz", 76.6, 72), ("dac-44khz-16kbps", 64.2, 144)],
)
def test_published_shapes(name, parameters, dim):
    codec = jax.eval_shape(lambda: Dac(PRESETS[name], rngs=None))
    assert round(sum(leaf.size for leaf in jax.tree.leaves(codec)) / 1e6, 1) == parameters
    assert codec.dim == dim


def test_the_nearest_entry_is_that_of_the_same_direction_however_long():
    codebook = jnp.array([[100.0, 0.0], [0.0, 0.01], [-1.0, -1.0]])
    np.testing.assert_array_equal(nearest(jnp.array([[0.1, 0.2], [50.0, 1.0], [-3.0, -2.0]]), codebook), [1, 0, 2])


@pytest.mark.slow
def test_the_three_latents(codec, normal):
    """Entries side by side, their sum, and what the encoder makes; the first two decode to the same audio."""
    audio, lengths = normal(2, 95, 1), jnp.array([95, 95])
    latents = {
        kind: encode(codec.explaining(kind), audio, lengths) for kind in ("projected", "quantised", "continuous")
    }
    assert [latent.shape[2] for latent in latents.values()] == [6, 10, 10]
    sounds = {kind: decode(codec.explaining(kind), latent, 95) for kind, latent in latents.items()}
    np.testing.assert_allclose(sounds["projected"], sounds["quantised"], atol=1e-6)
    assert np.abs(sounds["continuous"] - sounds["quantised"]).max() > 1e-3
    for kind in latents:
        slope = jax.jit(jax.grad(lambda x, k=kind: codec.explaining(k).encode(x, lengths).sum()))(audio)
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0


def test_bandwidths_are_numbers_of_codebooks(codec, normal):
    audio, lengths = normal(1, 95, 1), jnp.array([95])
    assert codec.bandwidths == (0.4, 0.8, 1.2)
    whole, two = encode(codec, audio, lengths), codec.at(0.8)
    assert (two.dim, two.at(None).dim) == (4, 6)
    np.testing.assert_array_equal(encode(two, audio, lengths), whole[..., :4])
    for bandwidth in (0.3, 1.6):
        with pytest.raises(AudexError, match=re.escape(f"no bandwidth {bandwidth} kbps; it offers 0.4 to 1.2")):
            codec.at(bandwidth)
    with pytest.raises(AudexError, match="continuous latent, which has no bandwidth"):
        codec.explaining("continuous").at(0.8)


def test_codes_decode_to_what_the_latent_decodes_to(codec, normal):
    audio = normal(94, 1)
    clip = codec.encode_codes(audio, 0.8)
    assert clip.codes.shape == (10, 2)
    latent = encode(codec.at(0.8), audio[None], jnp.array([94]))
    np.testing.assert_allclose(codec.decode_codes(clip), decode(codec, latent, 94)[0], atol=1e-5)
    with pytest.raises(codes.CodesError, match="the codes are of another"):
        codec.decode_codes(clip._replace(model="another"))
    with pytest.raises(codes.CodesError, match="10 frames in 1 segments are not those of 200 samples"):
        codec.decode_codes(clip._replace(samples=200))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"strides": (1, 2)}, "strides is (1, 2), not a list, each a whole number from 2"),
        ({"decoder_filters": 6}, "have to be a multiple of 4"),
        ({"latent": "z"}, "latent is 'z', not 'projected' or 'quantised' or 'continuous'"),
    ],
)
def test_shapes_that_no_dac_has_are_refused(fields, says):
    with pytest.raises(AudexError, match=re.escape(says)):
        DacConfig.from_dict({"name": "x", "sample_rate": 1000, "strides": (2, 5)} | fields)
