"""The ladder on small models: every layer by itself, then encoder, quantiser, decoder, and the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.encodec import segments
from audex_jax.codecs.encodec.seanet import Elu

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("strict_dtypes")]

SMALL = {
    "sampling_rate": 1000,
    "num_filters": 4,
    "hidden_size": 6,
    "upsampling_ratios": [5, 2],
    "codebook_size": 16,
    "target_bandwidths": [0.4, 0.8, 1.6],
}
CENTRED = {"use_causal_conv": False}
GROUPED = {"norm_type": "time_group_norm"} | CENTRED
SEGMENTED = GROUPED | {"audio_channels": 2, "normalize": True, "chunk_length_s": 0.1, "overlap": 0.1}
VARIANTS = {
    "causal": {},
    "centred, identity": CENTRED | {"use_conv_shortcut": False, "upsampling_ratios": [4, 4]},
    "zeros, one LSTM layer, compress 1": {"pad_mode": "constant", "num_lstm_layers": 1, "compress": 1},
    "grouped, stereo": SEGMENTED,
    "kernels, three ratios": {"kernel_size": 5, "last_kernel_size": 3, "upsampling_ratios": [2, 3, 2]},
}
TOLERANCE = 1e-5


@pytest.fixture(params=VARIANTS, scope="module")
def pair(request, encodec_reference, ported):
    """The reference and our port of it."""
    model = encodec_reference(**(SMALL | VARIANTS[request.param]))
    return model, ported(model)


@jax.jit
def each_layer(layers, inputs):
    return [layer(x) for layer, x in zip(layers, inputs, strict=True)]


@pytest.mark.parametrize("half", ["encoder", "decoder"])
@pytest.mark.parametrize("length", [1, 4, 13])
def test_every_layer(pair, half, length, normal, run_torch, relative_error):
    model, codec = pair
    theirs, ours = getattr(model, half).layers, getattr(codec, half).layers
    assert len(theirs) == len(ours)
    width = codec.config.channels if half == "encoder" else codec.config.dim
    inputs, expected = [], []
    for layer in theirs:
        inputs.append(normal(2, length, width))
        expected.append(run_torch(layer, inputs[-1]))
        width = expected[-1].shape[-1]
    for index, (mine, yours) in enumerate(zip(each_layer(list(ours), inputs), expected, strict=True)):
        assert relative_error(mine, yours) <= (1e-6 if isinstance(ours[index], Elu) else TOLERANCE), index


@pytest.mark.parametrize("length", [1, 7, 95])
def test_encoder_quantiser_decoder(pair, length, normal, run_torch, relative_error):
    model, codec = pair
    audio = normal(3, length, codec.config.channels)
    latent = run_torch(model.encoder, audio)
    assert relative_error(jax.jit(lambda c, x: c.encoder(x))(codec, audio), latent) <= TOLERANCE
    for bandwidth in codec.config.bandwidths:
        codes = model.quantizer.encode(as_torch(latent), bandwidth)  # [q, b, t]
        np.testing.assert_array_equal(codec.codes(jnp.asarray(latent), bandwidth), codes.permute(1, 2, 0).numpy())
        assert (
            relative_error(
                codec.quantize(jnp.asarray(latent), bandwidth), model.quantizer.decode(codes).transpose(1, 2).numpy()
            )
            <= TOLERANCE
        )
    decoded = jax.jit(lambda c, z: c.decoder(z))(codec, jnp.asarray(latent))
    assert relative_error(decoded, run_torch(model.decoder, latent)) <= TOLERANCE


def test_whole_model(pair, normal, relative_error):
    torch = pytest.importorskip("torch")
    model, codec = pair
    for samples in (95,) if codec.config.segment_seconds is None else (95, 190):
        audio = normal(2, samples, codec.config.channels)
        for bandwidth in codec.config.bandwidths[-2:]:
            with torch.no_grad():
                out = model(torch.tensor(np.asarray(audio)).transpose(1, 2), bandwidth=bandwidth)
            ours = segments.reconstruct(codec, audio, bandwidth)
            assert relative_error(ours, out.audio_values.transpose(1, 2)[:, :samples]) <= TOLERANCE


def as_torch(latent):
    import torch

    return torch.tensor(latent).transpose(1, 2)
