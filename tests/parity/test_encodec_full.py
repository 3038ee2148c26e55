"""The four published configurations at full size with seeded random weights: latents, audio, and every code."""

import jax
import numpy as np
import pytest

from audex_jax.codecs.encodec import segments
from audex_jax.codecs.encodec.config import PRESETS
from weights_conversion.encodec.configs import to_hugging_face

pytestmark = pytest.mark.parity

TOLERANCE = 1e-5
NAMES = ["encodec-24khz", "encodec-32khz", "encodec-48khz", "audiogen-16khz"]
LENGTHS = [1, 7, 319, 320, 321, 24_000, 24_001, 100_000]
CASES = [(length, 1) for length in LENGTHS] + [(length, 3) for length in (1, 321, 24_001)]

encode = jax.jit(lambda codec, audio: codec.encoder(audio))
decode = jax.jit(lambda codec, latent: codec.decoder(latent))


@pytest.fixture(params=NAMES, scope="module")
def pair(request, encodec_reference, ported):
    """The reference and our port of it."""
    fields = to_hugging_face(PRESETS[request.param])[0]
    model = encodec_reference(**{key: value for key, value in fields.items() if key != "architectures"})
    codec = ported(model)
    assert codec.config == PRESETS[request.param]
    return model, codec


def compare(pair, audio, run_torch, relative_error):
    """Encoder, codes at every bandwidth from our own latents, and decoder; `pytest -s` shows the errors."""
    model, codec = pair
    expected = run_torch(model.encoder, audio)
    latent = encode(codec, audio)
    errors = {"latent": relative_error(latent, expected)}
    ties = [codes_that_tie(model, codec, latent, expected, bandwidth) for bandwidth in codec.config.bandwidths]
    errors["audio"] = relative_error(decode(codec, latent), run_torch(model.decoder, expected))
    print(codec.config.name, audio.shape, errors, "ties:", ties)
    assert max(errors.values()) <= TOLERANCE, errors


def codes_that_tie(model, codec, latent, expected, bandwidth) -> list[float]:
    """Asserts equal codes, but for a frame's first difference where two entries are equally near in float32.

    A frame's later codes follow from the first that differs. Returns the margins of such ties: the difference of the
    two squared distances, as a share of them, in float64.
    """
    import torch

    with torch.no_grad():
        codes = model.quantizer.encode(torch.tensor(expected).transpose(1, 2), bandwidth).permute(1, 2, 0).numpy()
    ours = np.asarray(codec.codes(latent, bandwidth))
    assert ours.shape == codes.shape
    books = np.asarray(codec.quantizer.codebooks[...], np.float64)
    margins = []
    for clip, frame in np.argwhere((ours != codes).any(-1)):
        theirs, mine = codes[clip, frame], ours[clip, frame]
        stage = int((theirs != mine).argmax())
        residual = expected[clip, frame] - sum(books[q, theirs[q]] for q in range(stage))
        near, other = (np.square(residual - books[stage, code[stage]]).sum() for code in (theirs, mine))
        margins.append(abs(near - other) / near)
    assert all(margin <= 1e-6 for margin in margins), margins
    return margins


def test_a_begun_frame(pair, normal, run_torch, relative_error):
    compare(pair, 0.3 * normal(2, 321, pair[1].config.channels), run_torch, relative_error)


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "batch"), CASES)
def test_every_length(pair, samples, batch, normal, run_torch, relative_error):
    channels = pair[1].config.channels
    compare(pair, 0.3 * normal(batch, samples, channels), run_torch, relative_error)


SEGMENTED = [
    1,
    480,
    47_520,
    47_521,  # two segments, the last of one sample
    48_000,  # two, the last of 480
    95_520,  # three, the last of 480
    95_041,  # three, the last of one sample: transformers cannot stack the codes of these
    47_840,  # transformers cannot overlap-add these
]


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["encodec-48khz"], indirect=True)
@pytest.mark.parametrize("samples", SEGMENTED)
@pytest.mark.parametrize("batch", [1, 3])
def test_segments_of_any_length(pair, samples, batch, normal, relative_error):
    torch = pytest.importorskip("torch")
    model, codec = pair
    gain = np.linspace(0.01, 1.0, samples, dtype=np.float32)[:, None]  # loudness differs from segment to segment
    audio = 0.3 * normal(batch, samples, 2) * gain
    reference = torch.tensor(np.asarray(audio)).transpose(1, 2)
    encoded = segments.encode_segments(codec, audio)
    bounds = segments.segment_bounds(codec.config, samples)
    for bandwidth in codec.config.bandwidths:
        with torch.no_grad():
            frames = [model._encode_frame(reference[..., start:end], bandwidth) for start, end in bounds]
            decoded = [model._decode_frame(*frame) for frame in frames]
        for (codes, scale), segment in zip(frames, encoded, strict=True):
            np.testing.assert_array_equal(codec.codes(segment.latent, bandwidth), codes.transpose(1, 2).numpy())
            np.testing.assert_allclose(segment.scale[:, :, 0], scale.numpy(), rtol=1e-5)
        quantised = segments.quantize_segments(codec, encoded, bandwidth)
        audio_out = segments.decode_segments(codec, quantised, samples)
        error = relative_error(audio_out, joined(decoded, codec.config.segment_stride, samples))
        print(audio.shape, f"{bandwidth:g} kbps: {error:.1e}")
        assert error <= TOLERANCE
        if samples not in (95_041, 47_840):
            with torch.no_grad():
                whole = model(reference, bandwidth=bandwidth).audio_values
            assert relative_error(audio_out, whole.transpose(1, 2)) <= TOLERANCE


def joined(pieces, stride, samples):
    """The reference's overlap-add, written out for the lengths at which its own implementation fails."""
    longest = pieces[0].shape[-1]
    triangle = 0.5 - np.abs(np.linspace(0, 1, longest + 2)[1:-1] - 0.5)
    total = np.zeros((pieces[0].shape[0], 2, samples + longest))
    weights = np.zeros(samples + longest)
    for index, piece in enumerate(pieces):
        where = slice(index * stride, index * stride + piece.shape[-1])
        total[..., where] += triangle[: piece.shape[-1]] * piece.numpy()
        weights[where] += triangle[: piece.shape[-1]]
    return (total[..., :samples] / weights[:samples]).transpose(0, 2, 1)
