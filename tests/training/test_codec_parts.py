"""What the codec's training is made of: its start, its losses, its codebooks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.codecs.encodec import Encodec
from audex_jax.codecs.encodec.config import TINY
from audex_jax.training import losses, rvq
from audex_jax.training.codec import scale_latent
from audex_jax.training.edits import edit
from audex_jax.training.principal import STEEP, principal_start

WIDE = dataclasses.replace(TINY, filters=4, dim=10)  # as many latent numbers as samples: nothing need be lost


# compiled as a whole: one after the other, their operations take longer
mel_loss = jax.jit(losses.mel_loss, static_argnums=2)
edit = jax.jit(edit)


@jax.jit
def encode(codec, audio):
    return codec.encoder(audio)


@jax.jit
def decode(codec, latent):
    return codec.decoder(latent)


def snr_db(audio, estimate) -> float:
    return float(10 * jnp.log10(jnp.square(audio).sum() / jnp.square(audio - estimate).sum()))


@pytest.mark.slow
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shortcut", ["conv", "identity"])
def test_a_codec_that_starts_from_components_returns_the_waveform_and_edited_latents(rng, causal, shortcut):
    smooth = np.convolve(rng.normal(size=8 * 400), np.hanning(12), "same").reshape(8, 400, 1)
    audio = jnp.asarray(smooth / smooth.std(), jnp.float32)
    config = dataclasses.replace(WIDE, causal=causal, shortcut=shortcut)
    plain = Encodec(config, rngs=nnx.Rngs(0))
    principal = nnx.clone(plain)
    principal_start(principal, audio, jax.random.key(0))
    assert snr_db(audio, decode(plain, encode(plain, audio))) < 1
    latent = encode(principal, audio)
    assert snr_db(audio, decode(principal, latent)) > 15
    edited = jnp.where(jax.random.bernoulli(jax.random.key(1), 0.5, latent.shape), latent, 0)
    assert snr_db(edited, encode(principal, decode(principal, edited))) > 15


@pytest.mark.slow
def test_the_latent_starts_as_rectified_components_in_falling_order_of_energy(rng):
    smooth = np.convolve(rng.normal(size=3200), np.hanning(12), "same").reshape(8, 400, 1)
    codec = Encodec(WIDE, rngs=nnx.Rngs(0))
    principal_start(codec, jnp.asarray(smooth / smooth.std(), jnp.float32), jax.random.key(0))
    latent = encode(codec, jnp.asarray(smooth / smooth.std(), jnp.float32))
    count = WIDE.dim // 2
    positive, negative = latent[..., :count], latent[..., count:]
    assert float(latent.min()) > -1.05 / STEEP
    assert float(jnp.minimum(positive, negative).max()) < 0.01
    energy = jnp.square(positive - negative).mean((0, 1))
    assert energy[0] > energy[2] > energy[4]


def test_losses_are_zero_for_the_same_and_one_for_silence(normal):
    audio = normal(3, 4000)
    for level in (1.0, 0.05):
        x = level * audio
        np.testing.assert_allclose(losses.waveform_loss(x, x), 0, atol=1e-7)
        np.testing.assert_allclose(losses.waveform_loss(x, 0 * x), 1, rtol=0.01)
        np.testing.assert_allclose(mel_loss(x, x, 16_000), 0, atol=1e-5)
        assert mel_loss(x, 0 * x, 16_000).min() > 1


def test_losses_do_not_depend_on_level(normal):
    x, y = normal(2, 4000), normal(2, 4000)
    for loss in (losses.waveform_loss, lambda a, b: mel_loss(a, b, 16_000)):
        np.testing.assert_allclose(loss(0.1 * x, 0.1 * y), loss(x, y), rtol=0.02)


def test_a_constant_latent_is_no_way_out(normal):
    latent = normal(2, 10, 6)
    biased = latent + 100  # a large constant must not make errors look small
    error = 0.1 * normal(2, 10, 6)
    np.testing.assert_allclose(
        losses.latent_loss(biased, biased + error), losses.latent_loss(latent, latent + error), rtol=1e-3
    )


def test_mel_bands_find_a_tone(normal):
    rate, tone = 16_000, 1000.0
    audio = jnp.sin(2 * jnp.pi * tone * jnp.arange(4000) / rate)[None]
    bands = losses.mel_magnitudes(audio, 1024, rate)[0].mean(0)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), 66) / 2595) - 1)
    loudest = int(bands.argmax())
    assert edges[loudest] < tone < edges[loudest + 2]


def test_log_mel_windows_are_centred_on_the_latent_frames():
    hop, frame = 64, 5
    centre = frame * hop + hop // 2
    for samples in (10 * hop, 10 * hop - 7):  # the last frame may be a begun one
        impulse = jnp.zeros((1, samples)).at[0, centre].set(1.0)
        energy = losses.log_mel(impulse, hop, 16_000)[0].mean(-1)
        assert energy.shape == (10,)
        assert energy.argmax() == frame
        np.testing.assert_allclose(energy[frame - 1], energy[frame + 1], atol=1e-4)


def test_codebooks_find_the_clusters_of_the_data(rng):
    centres = rng.normal(size=(4, 3)) * 5
    frames = jnp.asarray(centres[rng.integers(4, size=400)] + 0.05 * rng.normal(size=(400, 3)), jnp.float32)
    books = rvq.fit(frames, stages=2, entries=16, key=jax.random.key(0))
    quantised, _ = rvq.quantize_and_update(rvq.in_use(books), frames[None], jnp.array([2]), jax.random.key(1))
    assert float(jnp.square(quantised[0] - frames).mean()) < 0.05**2
    first, _ = rvq.quantize_and_update(rvq.in_use(books), frames[None], jnp.array([1]), jax.random.key(1))
    assert float(jnp.square(first[0] - frames).mean()) < 0.02


def test_codebooks_follow_data_that_moves(rng):
    centres = rng.normal(size=(4, 3)) * 5
    state = rvq.in_use(jnp.asarray(rng.normal(size=(2, 8, 3)), jnp.float32))
    update = jax.jit(rvq.quantize_and_update)
    for step in range(400):
        frames = centres[rng.integers(4, size=(6, 20))] + 0.05 * rng.normal(size=(6, 20, 3))
        latent = jnp.asarray(frames, jnp.float32)
        quantised, state = update(state, latent, jnp.full(6, 2), jax.random.key(step))
    assert float(jnp.square(quantised - latent).mean()) < 0.05


def test_each_clip_is_quantised_with_its_own_number_of_stages(normal):
    state = rvq.in_use(normal(3, 8, 4))
    latent = normal(3, 5, 4)
    quantised, _ = rvq.quantize_and_update(state, latent, jnp.array([1, 2, 3]), jax.random.key(0))
    residual, total = latent, jnp.zeros_like(latent)
    for stage in range(3):
        book = state.codebooks[stage]
        chosen = book[jnp.square(residual[..., None, :] - book).sum(-1).argmin(-1)]
        residual, total = residual - chosen, total + chosen
        np.testing.assert_allclose(quantised[stage], total[stage], atol=1e-5)


def test_edits_keep_or_replace_whole_elements(normal):
    latent = normal(64, 10, 6)
    edited = edit(latent, jax.random.key(3))
    other = jnp.roll(latent, 1, 0)
    assert ((edited == latent) | (edited == 0) | (edited == other)).all()
    kept = (edited == latent).mean((1, 2))
    assert float(kept.min()) < 0.2
    assert float(kept.max()) > 0.8


def test_the_first_clip_of_a_batch_is_filled_from_the_last(normal):
    latent = normal(2, 4, 3)
    swapped = [edit(latent, jax.random.key(k)) for k in range(20)]
    assert any(bool(((e[0] == latent[1]) & (e[0] != latent[0])).any()) for e in swapped)


def test_the_latent_can_be_given_unit_variance_without_a_change_of_sound(normal, codec_of):
    codec, audio = nnx.clone(codec_of(TINY)), normal(2, 200, 1)
    before = encode(codec, audio)
    sound, codes = decode(codec, before), codec.codes(before, 1.6)
    scale_latent(codec, audio)
    after = encode(codec, audio)
    np.testing.assert_allclose(after.std(), 1, rtol=1e-4)
    np.testing.assert_allclose(decode(codec, after), sound, atol=1e-5)
    np.testing.assert_array_equal(codec.codes(after, 1.6), codes)
