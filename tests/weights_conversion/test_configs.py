"""Configs of checkpoints: published ones are the presets, and what the port does not understand is refused."""

import json
import re

import numpy as np
import pytest
import yaml

from audex_jax.codecs.encodec.config import PRESETS, TINY
from weights_conversion import ConversionError, convert, published
from weights_conversion.encodec import configs
from weights_conversion.sources import Source

from .conftest import AUDIOCRAFT


@pytest.mark.parametrize("name", published())
def test_a_file_without_config_is_recognised_by_its_tensors(name):
    """Of models with equal tensors the first is taken."""
    config, blank = published()[name].config, {}
    for target in convert.codec_targets(config):
        parts = target.transform.backward(np.broadcast_to(np.float32(0), target.shape))
        blank |= dict(zip(target.tensors, parts, strict=True))
    assert convert.recognise(Source("file.th", blank, None, {}))[1] == config


LARGE = {"num_filters": 64, "use_causal_conv": False, "use_conv_shortcut": False, "codebook_size": 2048}
STEREO = {"audio_channels": 2, "norm_type": "time_group_norm", "normalize": True, "use_causal_conv": False}
SEGMENTS = {"chunk_length_s": 1.0, "overlap": 0.01}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("encodec-24khz", {}),
        (
            "encodec-32khz",
            LARGE | {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4], "target_bandwidths": [2.2]},
        ),
        ("encodec-48khz", STEREO | SEGMENTS | {"sampling_rate": 48_000, "target_bandwidths": [3.0, 6.0, 12.0, 24.0]}),
    ],
)
def test_published_configs_are_the_presets(name, fields):
    hf = {"model_type": "encodec", "architectures": ["EncodecModel"], "transformers_version": "4.31.0"}
    assert configs.from_hugging_face(hf | fields, "config.json") == PRESETS[name]


def test_audiogens_config_is_the_preset():
    audiogen = yaml.safe_load(AUDIOCRAFT) | {"sample_rate": 16_000}
    audiogen["encodec"]["causal"] = False
    audiogen["seanet"] |= {"dimension": 128, "n_filters": 64, "ratios": [8, 5, 4, 2], "lstm": 2}
    audiogen["seanet"] |= {"true_skip": True, "pad_mode": "constant"}
    audiogen["rvq"] |= {"n_q": 4, "bins": 2048, "q_dropout": False}
    assert configs.from_audiocraft(yaml.safe_dump(audiogen), "16") == PRESETS["audiogen-16khz"]


@pytest.mark.parametrize("name", PRESETS)
def test_hugging_face_configs_go_and_come_back(name):
    fields = json.loads(json.dumps(configs.to_hugging_face(PRESETS[name])[0]))
    assert configs.from_hugging_face(fields, "config.json") == PRESETS[name]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_residual_layers": 3}, "num_residual_layers is 3"),
        ({"trim_right_ratio": 0.5}, r"trim_right_ratio is 0\.5"),
        ({"codebook_dim": 8}, "codebook_dim is 8"),
        ({"norm_type": "layer_norm"}, "norm is 'layer_norm'"),
        ({"pad_mode": "replicate"}, "pad_mode is 'replicate'"),
        ({"use_transformer": True}, "use_transformer is unknown"),
        ({"upsampling_ratios": [8, "5"]}, r"ratios is \(8, '5'\)"),
        ({"num_filters": 0}, "filters is 0"),
        ({"target_bandwidths": [0.001]}, "do not pay for 1 to 1024 codebooks"),
        ({"chunk_length_s": 1.0}, "chunk_length_s is given without overlap"),
        ({"model_type": "dac"}, "a model of type 'dac'"),
        (
            {"num_residual_layers": 3, "pad_mode": "replicate", "new_field": 1},
            "(?s)num_residual_layers.*new_field.*pad_mode",
        ),
    ],
)
def test_configs_that_the_port_does_not_understand_are_refused(fields, message):
    with pytest.raises(ConversionError, match=message):
        configs.from_hugging_face(configs.to_hugging_face(TINY)[0] | {"overlap": None} | fields, "config.json")


@pytest.mark.parametrize("key", ["_attn_implementation_autoset", "_commit_hash", "use_cache", "pad_token_id"])
def test_what_transformers_adds_to_every_config_is_left_alone(key):
    fields = configs.to_hugging_face(TINY)[0]
    assert configs.from_hugging_face(fields | {key: None}, "config.json") == TINY


ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join(['*' + before] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIASES + "encodec: *i\nseanet: *i\nrvq: *i\n", "it has aliases"),
        ("encodec: {a: '${b}'}\nb: ['${c}']\nseanet: {}\nrvq: {}\n", "is no single value"),
        ("encodec: {a: '${encodec.a}'}\nseanet: {}\nrvq: {}\n", "references without end"),
        ("encodec: 1\nseanet: 2\nrvq: 3\n", r"\(encodec, seanet, rvq\)"),
        ("- 1\n", "TypeError"),
        ("[" * 500, "audiocraft"),
    ],
)
def test_hostile_yaml_is_refused_in_one_line(text, message):
    with pytest.raises(ConversionError, match=message) as raised:
        configs.from_audiocraft(text, "file.bin")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("seanet", {"activation": "ReLU"}, "seanet.activation is 'ReLU'"),
        ("seanet", {"norm": "spectral_norm"}, "norm is 'spectral_norm'"),
        ("seanet", {"causal": False}, "encodec.causal is True, seanet.causal is False"),
        ("seanet", {"decoder": {"final_activation": "Tanh"}}, "seanet.decoder is"),
        ("rvq", {"shared": True}, "rvq.shared is unknown"),
        ("encodec", {"quantizer": "no_quant"}, "encodec.quantizer is 'no_quant'"),
    ],
)
def test_audiocraft_configs_that_the_port_does_not_understand_are_refused(section, change, message):
    tree = yaml.safe_load(AUDIOCRAFT)
    tree[section] |= change
    with pytest.raises(ConversionError, match=re.escape(message)):
        configs.from_audiocraft(yaml.safe_dump(tree), "file.bin")
