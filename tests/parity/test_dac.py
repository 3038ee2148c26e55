"""DAC against `transformers.DacModel` with seeded random weights: latents, codes, audio, and files both ways.

The reference takes audio as it is. It is given clips of whole frames, which its feature extractor and ours make of any
length; the encoder alone is compared without that, too. Batches are of equal lengths.
"""

import copy
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.dac import PRESETS
from weights_conversion import convert_codec
from weights_conversion.dac.configs import to_hugging_face
from weights_conversion.family import config_of
from weights_conversion.sources import Source

pytestmark = pytest.mark.parity

TOLERANCE = 1e-5
SMALL = {
    "sampling_rate": 1000,
    "encoder_hidden_size": 4,
    "downsampling_ratios": [2, 5],
    "decoder_hidden_size": 16,
    "n_codebooks": 4,
    "codebook_size": 16,
    "codebook_dim": 3,
}
VARIANTS = {
    "odd": {},
    "narrow, three strides": {"downsampling_ratios": [2, 3, 4], "hidden_size": 6},
    "even": {"downsampling_ratios": [4, 2], "n_codebooks": 1},
}
SAMPLES = [1, 9, 10, 11, 95, 1587]
FULL = ("dac-16khz", "dac-24khz", "dac-44khz", "dac-44khz-16kbps")
LENGTHS = [1, 319, 320, 321, 511, 512, 513, 15_877, 24_000, 100_000]
CASES = [(length, 1) for length in LENGTHS] + [(length, 3) for length in (1, 321, 15_877)]


@functools.lru_cache(maxsize=1)
def reference(fields: str):
    """`DacModel` for fields of its config, with random weights everywhere.

    Residual units add little, as in trained models: with large weights a dozen snakes in a row amplify the rounding of
    the first one a thousandfold, in the reference as here.
    """
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.DacModel(transformers.DacConfig(**json.loads(fields))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("alpha"):
                parameter.copy_(0.5 + torch.rand(parameter.shape))
            elif name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn(parameter.shape))
            elif "codebook" in name:
                parameter.copy_(torch.randn(parameter.shape))
            else:
                into = parameter.shape[0] if "conv_t1" in name else parameter.shape[1]
                taps = 2 if "conv_t1" in name else parameter.shape[2]
                parameter.copy_(torch.randn(parameter.shape) / (into * taps) ** 0.5)
                if "res_unit" in name and "conv2" in name:
                    parameter.mul_(0.2)
    return model


def pair_of(fields: dict):
    """The reference and our port of it."""
    model = reference(json.dumps(fields))
    config = config_of(json.loads(model.config.to_json_string()), "reference")
    tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    return model, convert_codec(Source("reference", tensors, config, {}))


@pytest.fixture(params=VARIANTS, scope="module")
def pair(request):
    return pair_of(SMALL | VARIANTS[request.param])


@pytest.fixture(params=FULL, scope="module")
def published(request):
    fields = {key: value for key, value in to_hugging_face(PRESETS[request.param])[0].items() if key != "architectures"}
    model, codec = pair_of(fields)
    assert codec.config == PRESETS[request.param]
    return model, codec


@jax.jit
def run(codec, audio):
    """Continuous latent, codes, entries, what they add up to, and audio of that; of clips of whole frames."""
    continuous = codec.encoder(audio)
    codes, entries = codec.quantizer.encode(continuous, codec.stages)
    quantised = codec.quantizer.sum(entries)
    return continuous, codes, entries, quantised, codec.decoder(quantised)


def compare(model, codec, audio, relative_error):
    import torch

    padded = jnp.pad(audio, ((0, 0), (0, -audio.shape[1] % codec.hop), (0, 0)))
    with torch.no_grad():
        sound = torch.tensor(np.asarray(padded)).transpose(1, 2)
        theirs = model.encoder(sound).transpose(1, 2).numpy()
        out = model.encode(sound)
        decoded = model.decoder(out.quantized_representation).transpose(1, 2)
        found = model.quantizer.from_codes(out.audio_codes)[1].transpose(1, 2).numpy()
    continuous, codes, entries, quantised, ours = run(codec, padded)
    assert continuous.shape[1] == codec.frames(audio.shape[1])
    errors = {"continuous": relative_error(continuous, theirs)}
    np.testing.assert_array_equal(codes, out.audio_codes.transpose(1, 2).numpy())
    np.testing.assert_array_equal(entries.reshape(found.shape), found)
    errors["quantised"] = relative_error(quantised, out.quantized_representation.transpose(1, 2))
    errors["audio"] = relative_error(ours, decoded)
    allowed = dict.fromkeys(errors, TOLERANCE)
    if (
        errors["audio"] > TOLERANCE
    ):  # a deep decoder amplifies rounding: ours may be no further from float64 than theirs
        with torch.no_grad():
            exact = copy.deepcopy(model.decoder).double()(out.quantized_representation.double()).transpose(1, 2).numpy()
        errors["audio"] = relative_error(ours, exact)
        allowed["audio"] = max(TOLERANCE, relative_error(decoded, exact))
    print(codec.config.name, audio.shape, {key: f"{error:.1e} of {allowed[key]:.1e}" for key, error in errors.items()})
    assert all(error <= allowed[key] for key, error in errors.items()), (errors, allowed)


@pytest.mark.parametrize("samples", SAMPLES)
def test_every_length(pair, samples, normal, relative_error):
    compare(*pair, 0.3 * normal(3, samples, 1), relative_error)


def test_every_layer(pair, normal, run_torch, relative_error):
    model, codec = pair
    for half, layers in (("encoder", "res_unit1 res_unit3 snake1 conv1"), ("decoder", "snake1 conv_t1 res_unit2")):
        for theirs, ours in zip(getattr(model, half).block, getattr(codec, half).block, strict=True):
            x = 3 * normal(2, 41, len(ours.snake1.alpha))
            for name in layers.split():
                expected = run_torch(getattr(theirs, name), x)
                assert relative_error(getattr(ours, name)(x), expected) <= 1e-6, (half, name)
                x = jnp.asarray(expected) if half == "decoder" else x


@pytest.mark.parametrize("samples", [24, 95, 1587])
def test_encoder_alone_on_begun_frames(pair, samples, normal, run_torch, relative_error):
    model, codec = pair
    audio = normal(2, samples, 1)
    assert relative_error(codec.encoder(audio), run_torch(model.encoder, audio)) <= TOLERANCE


def test_fewer_codebooks(pair, normal, relative_error):
    torch = pytest.importorskip("torch")
    model, codec = pair
    audio = normal(2, 12 * codec.hop, 1)
    with torch.no_grad():
        out = model(torch.tensor(np.asarray(audio)).transpose(1, 2), n_quantizers=1)
    first = codec.at(codec.bandwidths[0])
    latent = first.encode(audio, jnp.array([audio.shape[1]] * 2))
    assert latent.shape[2] == codec.config.codebook_dim
    ours = first.decode(latent, out.audio_values.shape[1])
    assert relative_error(ours[..., 0], out.audio_values) <= TOLERANCE


def test_gradients_pass_the_quantiser_as_in_the_reference(pair, normal, relative_error):
    torch = pytest.importorskip("torch")
    model, codec = pair
    continuous = normal(2, 5, codec.config.dim)
    weights = normal(2, 5, codec.config.dim)

    def ours(z):
        return (codec.quantizer.sum(codec.quantizer.encode(z, codec.stages)[1]) * weights).sum()

    z = torch.tensor(np.asarray(continuous)).transpose(1, 2).requires_grad_()
    (model.quantizer(z)[0].transpose(1, 2) * torch.tensor(np.asarray(weights))).sum().backward()
    assert relative_error(jax.grad(ours)(continuous), z.grad.transpose(1, 2)) <= TOLERANCE


def test_saved_checkpoints_come_in_and_go_back(pair, tmp_path, normal, relative_error):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model, codec = pair
    model.save_pretrained(tmp_path / "hf")
    assert main(["convert", str(tmp_path / "hf"), str(tmp_path / "bundle")]) == 0
    again = bundles.load_codec(tmp_path / "bundle")
    assert again.config == codec.config
    assert main(["export", str(tmp_path / "bundle"), str(tmp_path / "back")]) == 0
    back, report = transformers.DacModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values()), report
    expected = model.state_dict()
    assert back.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in back.state_dict().items())
    audio = np.asarray(normal(101))
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "back")
    inputs = extractor(audio, sampling_rate=codec.sample_rate, return_tensors="pt")["input_values"]
    with torch.no_grad():
        theirs = back(inputs).audio_values[:, :101]
    ours = codec.decode(codec.encode(jnp.asarray(audio)[None, :, None], jnp.array([101])), theirs.shape[1])
    assert relative_error(ours[..., 0], theirs) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "batch"), CASES)
def test_every_length_at_full_size(published, samples, batch, normal, relative_error):
    compare(*published, 0.3 * normal(batch, samples, 1), relative_error)
