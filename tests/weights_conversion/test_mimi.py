"""Mimi's checkpoints: both dialects give one bundle, and what does not fit is named."""

import json
import re

import numpy as np
import pytest

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.mimi import PRESETS, TINY
from weights_conversion import ConversionError, convert_codec
from weights_conversion.convert import codec_targets, recognise
from weights_conversion.engine import tensors_of
from weights_conversion.export import hugging_face_tensors
from weights_conversion.mimi import configs
from weights_conversion.sources import Source

NAMES = (
    (r"^(en|de)coder\.layers\.", r"\1coder.model."),
    (r"^(en|de)coder_transformer\.", r"\1coder_transformer.transformer."),
    (r"^(upsample|decoder\.model\.(?:2|5|8|11))\.conv\.", r"\1.convtr.convtr."),
    (r"^(encoder\.model|decoder\.model|downsample)(.*)\.conv\.", r"\1\2.conv.conv."),
    (r"^downsample\.conv\.", "downsample.conv.conv."),
    (r"^upsample\.convtr\.", "upsample.convtr.convtr."),
    (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
    (r"\.mlp\.fc", ".linear"),
    (r"\.input_layernorm\.", ".norm1."),
    (r"\.post_attention_layernorm\.", ".norm2."),
    (r"\.self_attn_layer_scale\.", ".layer_scale_1."),
    (r"\.mlp_layer_scale\.", ".layer_scale_2."),
    (r"\.semantic_residual_vector_quantizer\.", ".rvq_first."),
    (r"\.acoustic_residual_vector_quantizer\.", ".rvq_rest."),
    (r"\.layers\.(\d+)\.codebook\.", r".vq.layers.\1._codebook."),
    (r"\.embed_sum$", ".embedding_sum"),
    (r"\.initialized$", "._initialized"),
)


def kyutai(tensors, heads):
    """The file that Kyutai has of the same weights: other names, one matrix of projections, neighbours rotated."""
    found = {}
    for name, values in tensors.items():
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        found[name] = values
    for query in [name for name in found if name.endswith("q_proj.weight")]:
        q, k, v = (found.pop(query.replace("q_proj", f"{part}_proj")) for part in "qkv")
        rows = [np.empty_like(q), np.empty_like(k)]
        for given, wanted in zip((q, k), rows, strict=True):
            for head in range(heads):
                size = len(q) // heads
                start, half = head * size, size // 2
                wanted[start : start + size : 2] = given[start : start + half]
                wanted[start + 1 : start + size : 2] = given[start + half : start + size]
        found[query.replace("q_proj.weight", "in_proj_weight")] = np.concatenate([*rows, v])
    return found


@pytest.fixture
def tensors(codec_of, rng):
    """A Hugging Face checkpoint of the small model, of which every codebook entry was used another number of times."""
    found = hugging_face_tensors(codec_of(TINY))
    for name in [name for name in found if name.endswith("cluster_usage")]:
        found[name] = rng.uniform(0.5, 9, found[name].shape).astype(np.float32)
        found[name][:2] = [0, 1e-6]
        sums = name.replace("cluster_usage", "embed_sum")
        found[sums] = found[sums] * np.maximum(found[name], np.float32(1e-5))[:, None]
    return found


def convert(tensors, config=TINY):
    return bundles.arrays_of(convert_codec(Source("file", tensors, config, {})))


def newer(tensors):
    """Names of moshi from version 0.2.6 on."""
    return {re.sub(r"(in|out)_proj[_.]weight$", r"\1_projs.0.weight", name): a for name, a in tensors.items()}


def in_memory(tensors):
    """Names of a `MimiModel` that `transformers` 5 holds, in a module of somebody's."""
    halves = [(r"^(en|de)coder\.layers", r"\1coder.\1coder_seanet.layers")]
    halves += [(r"^(en|de)coder_transformer", r"\1coder.\1coder_transformer")]
    halves += [(r"^downsample", "encoder.downsample"), (r"^upsample", "decoder.upsample")]
    for pattern, replacement in halves:
        tensors = {re.sub(pattern, replacement, name): a for name, a in tensors.items()}
    return {f"module.model.{name}": a for name, a in tensors.items()}


def test_all_dialects_give_the_same_arrays_bit_for_bit(tensors):
    theirs = kyutai(tensors, TINY.heads)
    assert "encoder_transformer.transformer.layers.0.self_attn.in_proj_weight" in theirs
    assert {"downsample.conv.conv.conv.weight", "upsample.convtr.convtr.convtr.weight"} < theirs.keys()
    assert {"encoder.model.1.block.1.conv.conv.bias", "decoder.model.2.convtr.convtr.weight"} < theirs.keys()
    assert "quantizer.rvq_rest.vq.layers.2._codebook.embedding_sum" in theirs
    expected = convert(tensors)
    for dialect in (theirs, newer(theirs), in_memory(tensors)):
        assert len(dialect.keys() & tensors.keys()) <= 8  # of the quantiser
        found = convert(dialect)
        assert found.keys() == expected.keys()
        assert all(found[path].tobytes() == array.tobytes() for path, array in expected.items())


def test_codebooks_are_sums_over_numbers_and_no_less_than_those_that_count(tensors):
    books = convert(tensors)["quantizer.acoustic.codebooks"]
    stem = "quantizer.acoustic_residual_vector_quantizer.layers.1.codebook."
    usage = np.maximum(tensors[f"{stem}cluster_usage"], np.float32(1e-5))
    np.testing.assert_array_equal(books[1], tensors[f"{stem}embed_sum"] / usage[:, None])
    assert usage[0] == np.float32(1e-5)


def test_export_and_conversion_are_inverse(codec_of, tmp_path, capsys):
    codec = codec_of(TINY)
    bundles.save_codec(tmp_path / "bundle", codec, {})
    assert main(["export", str(tmp_path / "bundle"), str(tmp_path / "hf")]) == 0
    assert "transformers.MimiModel.from_pretrained" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "hf"), str(tmp_path / "again")]) == 0
    assert "125 frames of 6 numbers a second, bandwidths 0.5, 1, 2 kbps" in capsys.readouterr().out
    again = bundles.load_codec(tmp_path / "again")
    assert again.config == TINY
    arrays = bundles.arrays_of(again)
    assert all((arrays[path] == array).all() for path, array in bundles.arrays_of(codec).items())


FUSED = "encoder_transformer.transformer.layers.0.self_attn.in_proj_weight"
SUMS = "quantizer.rvq_first.vq.layers.0._codebook.embedding_sum"


def test_all_faults_of_a_checkpoint_are_named(tensors):
    theirs = kyutai(tensors, TINY.heads)
    theirs[FUSED] = theirs[FUSED][:-1]
    theirs[SUMS] = theirs[SUMS][:, :2]
    theirs["downsample.conv.conv.conv.weight"] = theirs["downsample.conv.conv.conv.weight"] * np.nan
    theirs["decoder.model.9.conv.conv.weight"] = theirs.pop("decoder.model.0.conv.conv.weight")
    with pytest.raises(ConversionError) as raised:
        convert(theirs)
    for message in (
        f"{FUSED} has no place in the model",
        "encoder_transformer.layers.0.self_attn.q_proj.weight is missing",
        f"{SUMS} has shape (16, 2), the model wants (16, 3)",
        "downsample.conv.conv.conv.weight holds values that are not finite",
        "decoder.model.9.conv.conv.weight has no place in the model",
        "decoder.layers.0.conv.weight is missing",
    ):
        assert message in str(raised.value)


def test_a_kyutai_file_is_recognised_without_a_config():
    config = PRESETS["mimi-24khz"]
    targets = codec_targets(config)
    blank = {target.path: np.broadcast_to(np.float32(0), target.shape) for target in targets}
    theirs = kyutai(tensors_of(blank, targets), config.heads)
    assert recognise(Source("tokenizer.safetensors", theirs, None, {}))[1] == config


def published() -> dict:
    """The `config.json` of `kyutai/mimi`, as versions of `transformers` from 4.45 on wrote it."""
    fields = configs.to_hugging_face(PRESETS["mimi-24khz"])[0]
    del fields["rope_parameters"]
    return fields | {
        "dilation_growth_rate": 2,
        "initializer_range": 0.02,
        "layer_scale_initial_scale": 0.01,
        "max_position_embeddings": 8000,
        "attention_dropout": 0.0,
        "normalize": False,
        "use_cache": False,
        "torch_dtype": "float32",
    }


def test_published_configs_are_understood():
    newest = published() | {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "_frame_rate": None}
    del newest["rope_theta"], newest["frame_rate"]
    for fields in (published(), newest | {"use_streaming": False}, {"model_type": "mimi"}):
        assert configs.from_hugging_face(json.loads(json.dumps(fields)), "config.json") == PRESETS["mimi-24khz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_causal_conv": False}, "use_causal_conv is False, the port knows only True"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"frame_rate": 25.0}, "frame_rate is 25.0, the port knows only what follows from the other fields, 12.5"),
        ({"head_dim": 32}, "head_dim is 32"),
        ({"num_key_value_heads": 2}, "num_key_value_heads is 2"),
        ({"vector_quantization_hidden_dimension": 512}, "vector_quantization_hidden_dimension is 512"),
        ({"upsample_groups": 1}, "upsample_groups is 1"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2}}, r"rope_type is 'yarn'.*factor is unknown"),
        ({"rope_parameters": {"rope_theta": 5.0}}, "rope_theta is 10000.0 and 5.0"),
        ({"rope_scaling": {"factor": 2}}, "rope_scaling is"),
        ({"sliding_window": "250"}, "context is '250'"),
        ({"encoder_config": None}, "encoder_config is unknown"),
        ({"num_semantic_quantizers": 32}, "at least one has to be acoustic"),
    ],
)
def test_other_networks_are_refused(change, message):
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        configs.from_hugging_face(published() | change, "config.json")


def test_every_array_has_its_own_tensors(tensors):
    targets = codec_targets(TINY)
    used = [name for target in targets for name in target.tensors]
    assert len(used) == len(set(used))
    back = tensors_of(convert(tensors), targets)
    assert {name for name in tensors if not name.endswith("initialized")} == back.keys()
