"""What every codec promises (`core.protocols.Codec`), asked of EnCodec in several shapes, of MDCT, and of
the `TINY` of every other family."""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.encodec.config import TINY
from audex_jax.codecs.mdct import MDCT, MDCTConfig
from audex_jax.core.clips import valid_frames
from audex_jax.core.errors import AudexError
from audex_jax.core.registry import CODECS

LOUD = dataclasses.replace(TINY, name="loud", normalize=True)
CENTRED = dataclasses.replace(TINY, name="centred", causal=False, shortcut="identity")
GROUPED = dataclasses.replace(TINY, name="grouped", causal=False, norm="group")
SEGMENTED = dataclasses.replace(TINY, name="segmented", segment_seconds=0.1)
STEREO = MDCTConfig("stereo", 1000, channels=2, hop=7)
OTHERS = {
    name: importlib.import_module(f"audex_jax.codecs.{name}").TINY
    for name in CODECS.names()
    if name not in ("encodec", "mdct")
}
NAMES = ("tiny", "loud", "quantised", "centred", "mdct", "stereo", *OTHERS)


@pytest.fixture
def codec(request, codec_of):
    if request.param in ("mdct", "stereo"):
        return MDCT(STEREO) if request.param == "stereo" else MDCT.from_name("1000")
    if request.param in OTHERS:
        return codec_of(OTHERS[request.param])
    config = {"tiny": TINY, "centred": CENTRED}.get(request.param, LOUD)
    return codec_of(config).at(0.8 if request.param == "quantised" else None)


@jax.jit
def encode(codec, audio, lengths):
    return codec.encode(audio, lengths)


@jax.jit
def round_trip(codec, audio, lengths):
    return codec.decode(codec.encode(audio, lengths), audio.shape[1])


decode = jax.jit(lambda codec, latent, samples: codec.decode(latent, samples), static_argnums=2)
fill = jax.jit(lambda codec, kind, key: codec.filler(20, kind, key), static_argnums=1)


@pytest.mark.parametrize("codec", NAMES, indirect=True)
def test_shapes_and_numbers_of_frames(codec, normal):
    for samples in (1, 95):
        latent = encode(codec, normal(2, samples, codec.channels), jnp.full(2, samples))
        assert latent.shape == (2, codec.frames(samples), codec.dim)
    cut, padded = decode(codec, latent, 64), decode(codec, latent, 130)
    assert (cut.shape, padded.shape) == ((2, 64, codec.channels), (2, 130, codec.channels))
    np.testing.assert_allclose(padded[:, :64], cut, atol=1e-6)
    assert not padded[:, 95 + codec.hop :].any()
    np.testing.assert_array_equal(codec.frames(jnp.array([1, 95])), [codec.frames(1), codec.frames(95)])
    np.testing.assert_array_equal(valid_frames(codec, jnp.array([1, 95]), 99).sum(1), codec.frames(jnp.array([1, 95])))


@pytest.mark.parametrize("codec", NAMES, indirect=True)
def test_zeros_behind_a_clip_leave_its_own_frames_as_they_are(codec, normal):
    length, audio = jnp.array([95]), normal(1, 95, codec.channels)
    alone, padded = (encode(codec, jnp.pad(audio, ((0, 0), (0, zeros), (0, 0))), length) for zeros in (0, 41))
    same = np.allclose(padded[:, : codec.frames(95)], alone, atol=1e-5)
    assert same == codec.padding_invariant


@pytest.mark.parametrize("codec", NAMES, indirect=True)
def test_levels(codec, normal):
    audio, lengths = 0.1 * normal(2, 95, codec.channels), jnp.array([95, 40])
    audio = audio.at[1, 40:].set(0)
    loud, soft = encode(codec, audio, lengths), encode(codec, 0.01 * audio, lengths)
    assert np.allclose(loud, soft, atol=1e-4) == (not codec.keeps_level)
    assert np.isfinite(encode(codec, 0 * audio, jnp.array([95, 0]))).all()


@pytest.mark.parametrize("codec", NAMES, indirect=True)
def test_fillers(codec):
    key = jax.random.key(0)
    zero, noise = fill(codec, "zero", key), fill(codec, "noise", key)
    assert zero.shape == noise.shape == (20, codec.dim)
    assert not zero.any()
    if isinstance(codec, MDCT):  # orthonormal
        np.testing.assert_allclose(noise.std(), 0.05, rtol=0.1)
    assert np.abs(noise - fill(codec, "noise", jax.random.key(1))).max() > 0
    with pytest.raises(AudexError, match="no filler 'mean'; a codec has zero and noise"):
        fill(codec, "mean", key)


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["quantised", "stereo", *OTHERS], indirect=True)
def test_derivatives_in_both_modes_and_of_second_order(codec, normal):
    audio, direction, lengths = normal(2, 45, codec.channels), normal(2, 45, codec.channels), jnp.array([45, 30])

    def energy(x):
        return jnp.square(jnp.tanh(round_trip(codec, x, lengths))).sum()

    @jax.jit
    def derivatives(x):
        forward = jax.jvp(energy, (x,), (direction,))[1]
        reverse = (jax.grad(energy)(x) * direction).sum()
        forward_over_reverse = jax.jvp(jax.grad(energy), (x,), (direction,))[1]
        reverse_over_reverse = jax.grad(lambda x: (jax.grad(energy)(x) * direction).sum())(x)
        return (forward, forward_over_reverse), (reverse, reverse_over_reverse)

    for one, other in zip(*derivatives(audio), strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(one).max())


def test_quantised_latents_pass_gradients_straight_through(codec_of, normal):
    continuous, audio, lengths = codec_of(LOUD), normal(2, 95, 1), jnp.array([95, 95])
    quantised = continuous.at(0.8)
    expected = continuous.quantize(encode(continuous, audio, lengths), 0.8)
    np.testing.assert_array_equal(encode(quantised, audio, lengths), expected)
    slopes = [jax.grad(lambda x, c=c: encode(c, x, lengths).sum())(audio) for c in (continuous, quantised)]
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-5)
    assert quantised.at(None).bandwidth is None
    with pytest.raises(AudexError, match="no bandwidth 5 kbps"):
        continuous.at(5.0)


@pytest.mark.parametrize("config", [GROUPED, SEGMENTED], ids=lambda c: c.name)
def test_codecs_of_which_padding_changes_clips_are_refused_in_words(config, codec_of):
    with pytest.raises(AudexError, match=r"cannot be padded to one length.*another codec.*audex reconstruct"):
        codec_of(config).encode(jnp.zeros((1, 50, 1)), jnp.array([50]))


@pytest.mark.parametrize(("hop", "channels"), [(1, 2), (6, 2), (7, 1)])
def test_mdct_keeps_energy_and_rebuilds_any_length(hop, channels, normal):
    codec = MDCT(MDCTConfig("small", 1000, channels, hop))
    for samples in {1, max(1, hop - 1), hop, hop + 1, 3 * hop + 2}:
        audio, lengths = normal(2, samples, channels), jnp.full(2, samples)
        np.testing.assert_allclose(round_trip(codec, audio, lengths), audio, atol=1e-5)
        np.testing.assert_allclose(jnp.square(encode(codec, audio, lengths)).sum(), jnp.square(audio).sum(), rtol=1e-5)


def test_mdct_of_common_rates_rebuilds_speech_like_audio(normal):
    for rate in (8_000, 44_100):
        codec = MDCT.from_name(str(rate))
        assert codec.hop == rate / 50
        audio = normal(1, 2500, 1)
        np.testing.assert_allclose(round_trip(codec, audio, jnp.array([2500])), audio, atol=1e-5)


def test_families_are_found_and_bad_names_refused():
    assert {"encodec", "mdct"} <= set(CODECS.names())
    assert CODECS["mdct"] is MDCT
    assert CODECS["encodec"].config_class.from_dict(dataclasses.asdict(TINY)) == TINY
    assert MDCTConfig.from_dict(dataclasses.asdict(STEREO)) == STEREO
    with pytest.raises(AudexError, match="mdct:16k: give a sample rate in Hz"):
        MDCT.from_name("16k")
    with pytest.raises(AudexError, match="lacks the fields sample_rate"):
        MDCTConfig.from_dict({"name": "x"})
