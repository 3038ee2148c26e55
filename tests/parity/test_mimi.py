"""Mimi against `transformers.MimiModel` with seeded random weights: every part, then frames, codes and audio.

Clips of one batch have one length here: `transformers` pads every layer by itself, `Mimi.encode` whole clips, as
`moshi` does. `Mimi.frame` is the way of `transformers`.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.cli import main
from audex_jax.codecs.mimi import PRESETS
from weights_conversion import convert_codec, read
from weights_conversion.mimi import configs
from weights_conversion.sources import Source

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("strict_dtypes")]

SMALL = {
    "sampling_rate": 1000,
    "num_filters": 4,
    "upsampling_ratios": [5, 2],
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "sliding_window": 7,
    "codebook_size": 16,
    "codebook_dim": 6,
    "vector_quantization_hidden_dimension": 6,
    "num_quantizers": 4,
    "upsample_groups": 16,
}
VARIANTS = {
    "small": {},
    "three ratios, other kernels": {
        "upsampling_ratios": [2, 3, 2],
        "kernel_size": 5,
        "last_kernel_size": 5,
        "residual_kernel_size": 5,
        "compress": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
    },
    "stereo, two semantic codebooks, short wavelengths": {
        "audio_channels": 2,
        "num_semantic_quantizers": 2,
        "sliding_window": 3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 50.0},
    },
}
FULL = {key: value for key, value in configs.to_hugging_face(PRESETS["mimi-24khz"])[0].items() if key != "rope_theta"}


@functools.cache
def pair_of(fields: str):
    """The reference and our port of it."""
    model = reference(json.loads(fields))
    config = configs.from_hugging_face(json.loads(model.config.to_json_string()), "reference")
    tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    return model, convert_codec(Source("reference", tensors, config, {}))


def reference(fields: dict):
    """`transformers.MimiModel` with random weights everywhere: norms, scales of layers and codebooks, too."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.MimiModel(transformers.MimiConfig(**fields)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("layernorm.weight", "layer_scale.scale")):
                parameter.copy_(0.2 + 0.6 * torch.rand(parameter.shape))
            elif name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn(parameter.shape))
        quantizer = model.quantizer
        for split in (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer):
            for stage, layer in enumerate(split.layers):
                book = layer.codebook
                book.cluster_usage.copy_(10 * torch.rand(book.cluster_usage.shape))
                book.cluster_usage[:2] = torch.tensor([0.0, 1e-6])  # below the least that counts
                sums = 0.9**stage * torch.randn(book.embed_sum.shape) * book.cluster_usage.clamp(min=1e-5)[:, None]
                book.embed_sum.copy_(sums)
    return model


@pytest.fixture(params=VARIANTS)
def pair(request):
    return pair_of(json.dumps(SMALL | VARIANTS[request.param]))


@pytest.fixture(scope="module")
def full():
    model, codec = pair_of(json.dumps(FULL))
    assert codec.config == PRESETS["mimi-24khz"]
    return model, codec


parts = jax.jit(
    lambda codec, audio, frames, latent: (
        codec.encoder(audio),
        codec.encoder_transformer(frames),
        codec.downsample(frames),
        codec.upsample(latent),
        codec.decoder_transformer(frames),
        codec.decoder(frames),
    )
)
encode = jax.jit(lambda codec, audio: codec.frame(audio))
project = jax.jit(lambda codec, frame: codec.quantizer.project(frame))
codes = jax.jit(lambda codec, latent: codec.codes(latent, codec.bandwidths[-1]))
decode = jax.jit(lambda codec, codes, samples: codec.decode(codec.dequantize(codes), samples), static_argnums=2)


def theirs(module, x, **kwargs):
    """A PyTorch module's output, channels last."""
    import torch

    with torch.no_grad():
        return module(torch.tensor(np.asarray(x)).transpose(1, 2), **kwargs).transpose(1, 2).numpy()


@pytest.mark.parametrize("frames", [1, 40])
def test_every_part(pair, frames, normal, relative_error):
    model, codec = pair
    audio, x, latent = normal(2, 10 * frames - 3, codec.channels), normal(2, frames, 16), normal(2, frames, 16)
    encoder, decoder = model.encoder, model.decoder
    expected = (
        theirs(encoder.encoder_seanet, audio),
        theirs(lambda y: encoder.encoder_transformer(y.mT).last_hidden_state.mT, x),
        theirs(encoder.downsample, x),
        theirs(decoder.upsample, latent),
        theirs(lambda y: decoder.decoder_transformer(y.mT).last_hidden_state.mT, x),
        theirs(decoder.decoder_seanet, x),
    )
    for mine, yours in zip(parts(codec, audio, x, latent), expected, strict=True):
        assert relative_error(mine, yours) <= 1e-5


def codes_that_tie(codec, latent, ours, yours) -> list[float]:
    """Margins of the codes that differ: two entries that are equally near but for rounding.

    A margin is the difference of the two squared distances, as a share of them, in float64, at the first stage of a
    quantiser that differs; its later codes of that frame follow from that one.
    """
    assert ours.shape == yours.shape
    first, dim = codec.config.semantic_codebooks, codec.config.codebook_dim
    quantisers = (
        (codec.quantizer.semantic, slice(first), slice(dim)),
        (codec.quantizer.acoustic, slice(first, None), slice(dim, None)),
    )
    margins = []
    for quantiser, stages, half in quantisers:
        books = np.asarray(quantiser.codebooks[...], np.float64)
        for clip, frame in np.argwhere((ours[..., stages] != yours[..., stages]).any(-1)):
            mine, other = ours[clip, frame, stages], yours[clip, frame, stages]
            stage = int((mine != other).argmax())
            residual = latent[clip, frame, half] - sum(books[q, other[q]] for q in range(stage))
            near, far = (np.square(residual - books[stage, code[stage]]).sum() for code in (other, mine))
            margins.append(abs(near - far) / near)
    return margins


def compare(pair, audio, relative_error, tolerance):
    """Frames, codes of the reference's frames and of ours, and audio of codes; `pytest -s` shows the errors."""
    import torch

    model, codec = pair
    expected = theirs(lambda x: model.encoder(x).latents, audio)
    frame = encode(codec, audio)
    assert frame.shape[1] == codec.frames(audio.shape[1])
    errors = {"frame": relative_error(frame, expected)}
    yours = theirs(lambda x: model.quantizer.encode(x).permute(1, 0, 2), expected)
    latent = np.asarray(project(codec, jnp.asarray(expected)))
    margins = codes_that_tie(codec, latent, np.asarray(codes(codec, latent)), yours)
    assert max(margins, default=0) <= 1e-6
    own = codes_that_tie(codec, latent, np.asarray(codes(codec, project(codec, frame))), yours)
    assert max(own, default=0) <= 10 * errors["frame"]
    samples = codec.frames(audio.shape[1]) * codec.hop
    with torch.no_grad():
        played = model.decode(torch.tensor(yours).transpose(1, 2)).audio_values.transpose(1, 2).numpy()
    errors["audio"] = relative_error(decode(codec, jnp.asarray(yours, jnp.int32), samples), played)
    print(codec.config.name, audio.shape, errors, "ties:", margins, own)
    assert max(errors.values()) <= tolerance, errors


@pytest.mark.parametrize("pair", ["small"], indirect=True)
@pytest.mark.parametrize("samples", [1, 19, 20, 21])
def test_a_begun_frame(pair, samples, normal, relative_error):
    compare(pair, normal(3, samples, 1), relative_error, 1e-5)


def test_more_frames_than_the_context_holds(pair, normal, relative_error):
    compare(pair, normal(3, 405, pair[1].channels), relative_error, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("samples", [1, 1919, 1920, 1921, 24_000, 15_877, 100_000])
def test_full_size(full, samples, batch, normal, relative_error):
    compare(full, 0.3 * normal(batch, samples, 1), relative_error, 1e-4)


def test_what_is_explained_is_the_projections_not_rounded(pair, normal, relative_error):
    """In and out again without the codebooks: what `transformers` has no function for, from its layers."""
    model, codec = pair
    audio = normal(2, 3 * codec.hop, codec.channels)
    parts = (model.quantizer.semantic_residual_vector_quantizer, model.quantizer.acoustic_residual_vector_quantizer)

    def through(x):
        frame = sum(part.output_proj(part.input_proj(model.encoder(x).latents)) for part in parts)
        return model.decoder(frame).audio_values

    ours = jax.jit(lambda codec, x: codec.decode(codec.encode(x, jnp.full(2, x.shape[1])), x.shape[1]))
    assert relative_error(ours(codec, audio), theirs(through, audio)) <= 1e-5


def test_saved_checkpoints_are_converted_and_exported_ones_loaded(tmp_path, normal, relative_error):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model, codec = pair_of(json.dumps(SMALL))
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    for layout in ("whole", "sharded"):
        assert main(["convert", str(tmp_path / layout), str(tmp_path / f"{layout}-bundle")]) == 0
    whole, sharded = ((tmp_path / f"{n}-bundle" / "codec.safetensors").read_bytes() for n in ("whole", "sharded"))
    assert whole == sharded
    assert main(["export", str(tmp_path / "whole-bundle"), str(tmp_path / "hf")]) == 0
    again, report = transformers.MimiModel.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not any(report.values()), report
    audio = normal(2, 150, 1)
    with torch.no_grad():
        one, other = (m.eval()(torch.tensor(np.asarray(audio)).mT) for m in (model, again))
    np.testing.assert_array_equal(one.audio_codes, other.audio_codes)
    assert relative_error(other.audio_values, one.audio_values) <= 1e-6
    assert read(tmp_path / "hf").config == codec.config
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "hf")
    assert extractor.sampling_rate == 1000
