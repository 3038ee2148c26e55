"""The codec as a whole: shapes, segments, loudness, causality, gradients; and codes on disk."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.encodec import Encodec, segments
from audex_jax.codecs.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, PRESETS, TINY, EncodecConfig
from audex_jax.io import codes

pytestmark = pytest.mark.usefixtures("strict_dtypes")

# the 48 kHz model in small: segments of 100 samples that start every 90, hop 10
SEGMENTED = dataclasses.replace(
    TINY, name="segmented", channels=2, norm="group", causal=False, normalize=True, segment_seconds=0.1, overlap=0.1
)
IDENTITY = dataclasses.replace(TINY, name="identity", causal=False, shortcut="identity", pad_mode="constant")


@pytest.fixture
def codec(codec_of) -> Encodec:
    return codec_of(TINY)


@pytest.fixture
def segmented(codec_of) -> Encodec:
    return codec_of(SEGMENTED)


@jax.jit
def encode(codec, audio):
    return codec.encoder(audio)


@jax.jit
def decode(codec, latent):
    return codec.decoder(latent)


@pytest.mark.parametrize("config", [TINY, SEGMENTED, IDENTITY], ids=lambda c: c.name)
def test_shapes_follow_from_hop_and_config(config, codec_of, normal):
    codec = codec_of(config)
    for samples in (1, 95):
        latent = encode(codec, normal(2, samples, config.channels))
        assert latent.shape == (2, config.frames(samples), config.dim)
        assert decode(codec, latent).shape == (2, config.frames(samples) * config.hop, config.channels)
        for bandwidth in config.bandwidths:
            found = codec.codes(latent, bandwidth)
            assert found.shape == (2, config.frames(samples), config.codebooks_for(bandwidth))
            np.testing.assert_array_equal(codec.quantize(latent, bandwidth), codec.dequantize(found))


def test_one_clip_does_not_change_another_in_the_batch(segmented, normal):
    audio = normal(3, 70, 2)
    alone = decode(segmented, encode(segmented, audio[1:2]))
    np.testing.assert_allclose(decode(segmented, encode(segmented, audio))[1:2], alone, atol=1e-5)


def test_a_causal_codec_does_not_hear_the_future(codec, normal):
    audio = normal(1, 200, 1)
    later = audio.at[:, 120:].set(0.0)
    np.testing.assert_allclose(encode(codec, audio)[:, :12], encode(codec, later)[:, :12], atol=1e-6)
    latent = encode(codec, audio)
    np.testing.assert_allclose(
        decode(codec, latent)[:, :120], decode(codec, latent.at[:, 12:].set(0.0))[:, :120], atol=1e-6
    )
    assert np.abs(encode(codec, audio) - encode(codec, later))[:, 12:].max() > 1e-3


def test_loudness_is_the_rms_of_the_channels_mean(segmented, codec, normal):
    audio = normal(3, 50, 2)
    expected = np.sqrt(np.square(np.asarray(audio, np.float64).mean(2)).mean(1)) + 1e-8
    assert segmented.loudness(audio).shape == (3, 1, 1)
    np.testing.assert_allclose(segmented.loudness(audio)[:, 0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(codec.loudness(audio[..., :1]), np.ones((3, 1, 1)))
    np.testing.assert_array_equal(segmented.loudness(jnp.zeros((1, 9, 2))), np.full((1, 1, 1), 1e-8, "f4"))
    shorter = segmented.loudness(audio.at[:, 20:].set(0), jnp.full(3, 20))
    np.testing.assert_allclose(shorter, segmented.loudness(audio[:, :20]), rtol=1e-6)


@pytest.mark.parametrize(
    ("samples", "bounds"),
    [
        (1, [(0, 1)]),
        (47_520, [(0, 47_520)]),
        (47_521, [(0, 47_521), (47_520, 47_521)]),
        (48_000, [(0, 48_000), (47_520, 48_000)]),
        (95_520, [(0, 48_000), (47_520, 95_520), (95_040, 95_520)]),
    ],
)
def test_segments_of_the_48_khz_model(samples, bounds):
    assert segments.segment_bounds(ENCODEC_48KHZ, samples) == bounds
    assert segments.segment_bounds(ENCODEC_24KHZ, samples) == [(0, samples)]


@pytest.mark.parametrize("samples", [91, 190])
def test_segments_join_to_a_recording_of_the_same_length(segmented, samples, normal):
    audio = normal(2, samples, 2)
    bounds = segments.segment_bounds(SEGMENTED, samples)
    encoded = segments.encode_segments(segmented, audio)
    assert [s.latent.shape[1] for s in encoded] == [SEGMENTED.frames(end - start) for start, end in bounds]
    joined = np.asarray(segments.decode_segments(segmented, encoded, samples))
    assert joined.shape == audio.shape
    for (start, end), segment in zip(bounds, encoded, strict=True):
        part = audio[:, start:end]
        scale = segmented.loudness(part)
        np.testing.assert_allclose(segment.latent, encode(segmented, part / scale), atol=1e-5)
        alone = np.asarray(decode(segmented, segment.latent) * scale)[:, : end - start]
        # where no other segment lies, the segment's own audio is what one hears
        others = [b for b in bounds if b != (start, end)]
        free = [n for n in range(start, end) if not any(a <= n < a + 100 for a, _ in others)]
        np.testing.assert_allclose(joined[:, free], alone[:, np.array(free, int) - start], atol=1e-5)
    np.testing.assert_allclose(joined, segments.reconstruct(segmented, audio), atol=1e-6)


def test_overlap_fades_linearly_from_one_piece_to_the_next():
    ones, twos = jnp.ones((1, 100, 1)), jnp.full((1, 100, 1), 2.0)
    joined = np.asarray(segments.overlap_add([ones, twos], 90))[0, :, 0]
    assert joined.shape == (190,)
    np.testing.assert_allclose(joined[:90], 1, atol=1e-6)
    np.testing.assert_allclose(joined[90:100], 1 + np.arange(1, 11) / 11, atol=1e-6)
    np.testing.assert_allclose(joined[100:], 2, atol=1e-6)


def test_loudness_goes_out_and_comes_back(segmented, normal):
    audio = normal(1, 150, 2)
    loud, soft = (np.asarray(segments.reconstruct(segmented, audio * gain)) for gain in (1.0, 0.125))
    np.testing.assert_allclose(loud * 0.125, soft, rtol=1e-4, atol=1e-6)
    with_codes = np.asarray(segments.reconstruct(segmented, audio, bandwidth=0.8))
    assert np.isfinite(with_codes).all()
    assert np.abs(with_codes - loud).max() > 1e-3  # quantising is audible on random weights


def test_silence_stays_finite(segmented):
    assert np.isfinite(segments.reconstruct(segmented, jnp.zeros((1, 120, 2)), bandwidth=0.4)).all()


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 0, 2), "holds no samples"), ((1, 50, 1), "has 1 channels, segmented takes 2")]
)
def test_audio_that_does_not_fit_is_refused(segmented, shape, message):
    with pytest.raises(ValueError, match=message):
        segments.encode_segments(segmented, jnp.zeros(shape))


@pytest.mark.parametrize("name", PRESETS)
def test_configs_survive_json_and_unknown_fields_do_not(name):
    config = PRESETS[name]
    fields = dataclasses.asdict(config)
    fields = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
    assert EncodecConfig.from_dict(fields) == config
    with pytest.raises(ValueError, match="does not understand: dilation"):
        EncodecConfig.from_dict(fields | {"dilation": 2})


@pytest.mark.parametrize("config", [TINY, SEGMENTED], ids=lambda c: c.name)
def test_codes_on_disk_play_what_was_encoded(config, codec_of, tmp_path, normal):
    codec = codec_of(config)
    audio = normal(195, config.channels)
    codes.save(tmp_path / "clip.npz", codec.encode_codes(audio, 0.8))
    played = codec.decode_codes(codes.load(tmp_path / "clip.npz"))
    np.testing.assert_allclose(played, segments.reconstruct(codec, audio[None], 0.8)[0], atol=1e-5)


def test_codes_of_another_codec_are_refused(codec, segmented):
    clip = codec.encode_codes(jnp.ones((50, 1)), 0.8)
    with pytest.raises(codes.CodesError, match=r"codes are of tiny .* the codec is segmented"):
        segmented.decode_codes(clip)


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "inconsistent"])
def test_damaged_codes_are_refused(codec, damage, tmp_path):
    path = tmp_path / "clip.npz"
    clip = codec.encode_codes(jnp.ones((50, 1)), 0.8)
    codes.save(path, clip._replace(bounds=np.array([0, 3])) if damage == "inconsistent" else clip)
    whole = path.read_bytes()
    if damage != "inconsistent":
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": b"RIFF" * 20}[damage])
    with pytest.raises(codes.CodesError, match=r"clip\.npz.*encode the recording again"):
        codes.load(path)


def rewritten(path, **changes):
    """Write codes again with other arrays; compressed, as `save` writes them."""
    with np.load(path) as file:
        np.savez_compressed(path, **dict(file) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"codes": np.zeros((2**13, 2**13), np.uint16)},  # small in the file, large in memory
        {"codes": np.zeros((5, 2), np.int64)},
        {"codes": np.zeros((5, 2), object)},
        {"codes": np.zeros(10, np.uint16)},
        {"scales": np.array([np.inf], np.float32)},
        {"scales": np.array([np.nan], np.float32)},
        {"scales": np.array([-1.0], np.float32)},
        {"scales": np.array(["1"])},
        {"samples": np.array(2**40)},
        {"samples": np.array(0)},
        {"samples": np.array([50])},
        {"model": np.array(["tiny"])},
        {"bounds": np.array([0.0, 5.0])},
        {"bounds": np.zeros(0, int)},
    ],
)
def test_arrays_that_are_no_codes_are_refused_unread(codec, changes, tmp_path):
    path = tmp_path / "clip.npz"
    codes.save(path, codes.CodedClip(np.zeros((5, 2), np.uint16), np.array([0, 5]), np.ones(1, "f4"), 50, "tiny"))
    assert codes.load(path).samples == 50
    rewritten(path, **changes)
    with pytest.raises(codes.CodesError, match=r"clip\.npz"):
        codes.load(path)


def test_more_frames_than_the_recording_has_are_refused(codec):
    clip = codes.CodedClip(np.zeros((5, 2), np.uint16), np.array([0, 5]), np.ones(1, "f4"), 50, "tiny")
    for other in (clip._replace(samples=51), clip._replace(samples=40), clip._replace(bounds=np.array([0, 4]))):
        with pytest.raises(codes.CodesError, match="are not those of"):
            codec.decode_codes(other)
