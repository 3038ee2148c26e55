"""Converting checkpoints: all dialects give one bundle, and every kind of fault is named and leaves nothing behind."""

import dataclasses
import json
import pickle
import re
import resource

import numpy as np
import pytest
import safetensors.numpy
import yaml

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.encodec.config import PRESETS, TINY
from weights_conversion import ConversionError, configs, convert, convert_classifier, convert_codec, hub, read
from weights_conversion.export import hugging_face_tensors
from weights_conversion.sources import Source
from weights_conversion.transforms import fold_weight_norm

GROUPED = dataclasses.replace(TINY, name="grouped", channels=2, norm="group", causal=False, normalize=True)


@pytest.fixture
def tensors(codec_of) -> dict[str, np.ndarray]:
    """A Hugging Face checkpoint of the small model, weight norm as `weight_g` and `weight_v`; the scales are random."""
    rng = np.random.default_rng(5)
    tensors = hugging_face_tensors(codec_of(TINY))
    for name in tensors:
        if name.endswith("weight_g"):
            tensors[name] *= rng.uniform(0.5, 2.0, tensors[name].shape).astype(np.float32)
        if name.endswith("bias_hh_l0"):
            tensors[name] = rng.normal(size=tensors[name].shape).astype(np.float32)
    return tensors


@pytest.fixture
def folder(tmp_path, tensors):
    """The checkpoint on disk as the hub lays it out."""
    return write_folder(tmp_path / "hf", tensors)


def write_folder(folder, tensors, config=TINY, **fields):
    folder.mkdir()
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(configs.to_hugging_face(config)[0] | fields))
    return folder


def parametrised(tensors):
    replace = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {re.sub("weight_[gv]$", lambda m: replace[m[0]], name): a for name, a in tensors.items()}


def folded(tensors):
    plain = {name: a for name, a in tensors.items() if not re.search("weight_[gv]$", name)}
    for name in tensors:
        if name.endswith("weight_g"):
            g, v = (tensors[name[:-1] + kind].astype(np.float64) for kind in "gv")
            norm = np.array([np.linalg.norm(row) for row in v])[:, None, None]
            plain[name[:-2]] = (g * (v / norm)).astype(np.float32)
    return plain


def meta(tensors):
    """Names of Meta's and audiocraft's files; transposed convolutions are those at every third index from 3."""

    def rename(name):
        if name.startswith("quantizer"):
            return name.replace("quantizer.layers", "quantizer.vq.layers").replace(".codebook.", "._codebook.")
        half, _, index, rest = name.split(".", 3)
        last = max(int(n.split(".")[2]) for n in tensors if n.startswith(half) and n.split(".")[2].isdigit())
        transposed = half == "decoder" and rest.startswith("conv.") and 0 < int(index) < last
        twice = "convtr.convtr." if transposed else "conv.conv."
        return f"{half}.model.{index}." + re.sub(r"\bconv\.", twice, rest)

    return {rename(name): a for name, a in tensors.items()}


def sharded(folder, tensors):
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    folder.mkdir()
    for file, part in shards.items():
        safetensors.numpy.save_file({name: tensors[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps(configs.to_hugging_face(TINY)[0]))
    return folder


AUDIOCRAFT = {
    "compression_model": "encodec",
    "sample_rate": TINY.sample_rate,
    "channels": 1,
    "encodec": {
        "autoencoder": "seanet",
        "quantizer": "rvq",
        "sample_rate": "${sample_rate}",
        "channels": "${channels}",
        "causal": True,
        "renormalize": False,
    },
    "seanet": {
        "dimension": TINY.dim,
        "channels": "${channels}",
        "causal": "${encodec.causal}",
        "n_filters": TINY.filters,
        "n_residual_layers": 1,
        "ratios": list(TINY.ratios),
        "activation": "ELU",
        "activation_params": {"alpha": 1.0},
        "norm": "weight_norm",
        "norm_params": {},
        "kernel_size": 7,
        "residual_kernel_size": 3,
        "last_kernel_size": 7,
        "dilation_base": 2,
        "pad_mode": "reflect",
        "true_skip": False,
        "compress": 2,
        "lstm": TINY.lstm_layers,
        "disable_norm_outer_blocks": 0,
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
        "encoder": {},
    },
    "rvq": {"n_q": TINY.codebooks, "bins": TINY.codebook_size, "q_dropout": True, "decay": 0.99},
}


def weights(source, **options) -> dict[str, bytes]:
    return {path: a.tobytes() for path, a in bundles.arrays_of(convert_codec(read(source), **options)).items()}


def test_all_dialects_give_the_same_bundle_bit_for_bit(tmp_path, folder, tensors):
    expected = weights(folder)
    assert weights(write_folder(tmp_path / "new", parametrised(tensors))) == expected
    assert weights(write_folder(tmp_path / "folded", folded(tensors))) == expected
    assert weights(write_folder(tmp_path / "meta", meta(tensors))) == expected
    assert weights(sharded(tmp_path / "sharded", tensors)) == expected
    assert weights(folder / "model.safetensors") == expected


def test_pickled_dialects_give_the_same_bundle_bit_for_bit(tmp_path, folder, tensors):
    torch = pytest.importorskip("torch")
    expected = weights(folder)
    state = {name: torch.tensor(a) for name, a in tensors.items()}
    original = {name: torch.tensor(a) for name, a in meta(tensors).items()}
    config = {"xp.cfg": yaml.safe_dump(AUDIOCRAFT), "best_state": original, "version": "1.0", "exported": True}
    torch.save(config, tmp_path / "compression_state_dict.bin")
    assert weights(tmp_path / "compression_state_dict.bin") == expected
    read_config = read(tmp_path / "compression_state_dict.bin").config
    assert read_config == dataclasses.replace(TINY, name=read_config.name, bandwidths=read_config.bandwidths)
    assert read_config.bandwidths == (0.4, 0.8, 1.6)
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    assert weights(folder) == expected
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert weights(folder) == expected


def test_converted_arrays_are_where_they_belong(tensors, folder):
    arrays = bundles.arrays_of(convert_codec(read(folder)))
    plain = folded(tensors)
    np.testing.assert_array_equal(
        arrays["encoder.layers.0.kernel"][3, 0], plain["encoder.layers.0.conv.weight"][:, 0, 3]
    )
    np.testing.assert_array_equal(
        arrays["decoder.layers.3.kernel"][7, 2], plain["decoder.layers.3.conv.weight"][2, :, 7]
    )
    np.testing.assert_array_equal(
        arrays["encoder.layers.4.widen.kernel"][0], plain["encoder.layers.4.block.3.conv.weight"][..., 0].T
    )
    both = plain["encoder.layers.7.lstm.bias_ih_l0"] + plain["encoder.layers.7.lstm.bias_hh_l0"]
    np.testing.assert_array_equal(arrays["encoder.layers.7.layers.0.bias"], both)
    np.testing.assert_array_equal(arrays["quantizer.codebooks"][2], plain["quantizer.layers.2.codebook.embed"])


@pytest.mark.parametrize("config", [TINY, GROUPED], ids=lambda c: c.name)
def test_export_and_conversion_are_inverse(config, codec_of, tmp_path):
    codec = codec_of(config)
    bundles.save_codec(tmp_path / "bundle", codec, {})
    assert main(["export", str(tmp_path / "bundle"), str(tmp_path / "hf")]) == 0
    assert main(["convert", str(tmp_path / "hf"), str(tmp_path / "again")]) == 0
    again = bundles.load_codec(tmp_path / "again")
    assert dataclasses.replace(again.config, name=config.name) == config
    arrays = bundles.arrays_of(again)
    for path, array in bundles.arrays_of(codec).items():
        np.testing.assert_allclose(arrays[path], array, rtol=2e-7)  # the scale of weight norm is rounded once


def test_lower_precision_is_read_as_float32(tmp_path, tensors):
    import ml_dtypes

    for dtype in (np.float16, ml_dtypes.bfloat16, np.float64):
        source = write_folder(tmp_path / np.dtype(dtype).name, {name: a.astype(dtype) for name, a in tensors.items()})
        bias = bundles.arrays_of(convert_codec(read(source)))["encoder.layers.0.bias"]
        assert bias.dtype == np.float32
        np.testing.assert_array_equal(bias, tensors["encoder.layers.0.conv.bias"].astype(dtype).astype(np.float32))


@pytest.mark.parametrize("name", convert.PUBLISHED)
def test_a_file_without_config_is_recognised_by_its_tensors(name):
    blank = {}
    for target in convert.codec_targets(PRESETS[name]):
        parts = target.transform.backward(np.broadcast_to(np.float32(0), target.shape))
        blank |= dict(zip(target.tensors, parts, strict=True))
    assert convert._config(Source("file.th", blank, None, {}), "auto") == PRESETS[name]


def test_published_configs_are_the_presets():
    hf = {"model_type": "encodec", "architectures": ["EncodecModel"], "transformers_version": "4.31.0"}
    large = {"num_filters": 64, "use_causal_conv": False, "use_conv_shortcut": False, "codebook_size": 2048}
    assert configs.from_hugging_face(hf, "24") == PRESETS["encodec-24khz"]
    fields = {"sampling_rate": 32_000, "upsampling_ratios": [8, 5, 4, 4], "target_bandwidths": [2.2]}
    assert configs.from_hugging_face(hf | large | fields, "32") == PRESETS["encodec-32khz"]
    fields = {
        "sampling_rate": 48_000,
        "audio_channels": 2,
        "norm_type": "time_group_norm",
        "use_causal_conv": False,
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        "normalize": True,
        "chunk_length_s": 1.0,
        "overlap": 0.01,
    }
    assert configs.from_hugging_face(hf | fields, "48") == PRESETS["encodec-48khz"]
    audiogen = json.loads(json.dumps(AUDIOCRAFT)) | {"sample_rate": 16_000}
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
        ({"trim_right_ratio": 0.5}, "trim_right_ratio is 0.5"),
        ({"codebook_dim": 8}, "codebook_dim is 8"),
        ({"norm_type": "layer_norm"}, "norm is 'layer_norm'"),
        ({"pad_mode": "replicate"}, "pad_mode is 'replicate'"),
        ({"use_transformer": True}, "use_transformer is unknown"),
        ({"upsampling_ratios": [8, "5"]}, "ratios is (8, '5')"),
        ({"num_filters": 0}, "filters is 0"),
        ({"target_bandwidths": [0.001]}, "do not pay for one codebook"),
        ({"chunk_length_s": 1.0}, "chunk_length_s is given without overlap"),
        ({"model_type": "dac"}, "a model of type 'dac'"),
    ],
)
def test_configs_that_the_port_does_not_understand_are_refused(fields, message):
    with pytest.raises(ConversionError, match=re.escape(message)):
        configs.from_hugging_face(configs.to_hugging_face(TINY)[0] | {"overlap": None} | fields, "config.json")


def test_all_faults_of_a_config_come_in_one_message():
    fields = {"num_residual_layers": 3, "pad_mode": "replicate", "new_field": 1}
    with pytest.raises(ConversionError, match=r"(?s)num_residual_layers.*new_field.*pad_mode"):
        configs.from_hugging_face(fields, "config.json")


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
    tree = AUDIOCRAFT | {section: AUDIOCRAFT[section] | change}
    with pytest.raises(ConversionError, match=re.escape(message)):
        configs.from_audiocraft(yaml.safe_dump(tree), "file.bin")


def damaged(tensors, fault):
    tensors = dict(tensors)
    kernel, bias = "encoder.layers.3.conv.weight_v", "encoder.layers.3.conv.bias"
    if fault == "missing":
        del tensors[kernel], tensors["quantizer.layers.1.codebook.embed"]
    elif fault == "extra":
        tensors["decoder.layers.99.conv.bias"] = tensors[bias]
    elif fault == "shape":
        tensors[bias] = tensors[bias][:-1]
    elif fault == "transposed":
        tensors["encoder.layers.7.lstm.weight_ih_l0"] = tensors["encoder.layers.7.lstm.weight_ih_l0"].T.copy()
    elif fault == "nan":
        tensors[bias] = np.full_like(tensors[bias], np.nan)
    elif fault == "integers":
        tensors[bias] = tensors[bias].astype(np.int32)
    elif fault == "zero direction":
        tensors[kernel] = np.zeros_like(tensors[kernel])
    elif fault == "twice":
        tensors |= parametrised({name: tensors[name] for name in (kernel, kernel[:-1] + "g")})
    elif fault == "other model":
        tensors = {"wav2vec2.encoder.layers.0.weight": np.ones((2, 2), np.float32)}
    return tensors


@pytest.mark.parametrize(
    ("fault", "messages"),
    [
        ("missing", ["encoder.layers.3.conv.weight is missing", "quantizer.layers.1.codebook.embed is missing"]),
        ("extra", ["decoder.layers.99.conv.bias has no place in the model"]),
        ("shape", ["encoder.layers.3.conv.bias has shape (3,), the model wants (4,)"]),
        ("transposed", ["encoder.layers.7.lstm.weight_ih_l0 has shape (8, 32), the model wants (32, 8)"]),
        ("nan", ["encoder.layers.3.conv.bias holds values that are not finite"]),
        ("integers", ["encoder.layers.3.conv.bias holds int32"]),
        ("zero direction", ["encoder.layers.3.conv.weight_v holds values that are not finite"]),
        ("twice", ["stands beside"]),
        (
            "other model",
            ["wav2vec2.encoder.layers.0.weight has no place", "quantizer.layers.0.codebook.embed is missing"],
        ),
    ],
)
def test_tensors_that_do_not_fit_are_all_named_and_nothing_is_written(tmp_path, tensors, fault, messages, capsys):
    source = write_folder(tmp_path / "hf", damaged(tensors, fault))
    assert main(["convert", str(source), str(tmp_path / "bundle")]) == 1
    error = capsys.readouterr().err
    assert all(message in error for message in messages), error
    assert error.count("do not fit the model") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_faults_of_every_kind_come_in_one_message(tmp_path, tensors):
    for fault in ("missing", "extra", "shape"):
        tensors = damaged(tensors, fault)
    tensors["decoder.layers.0.conv.bias"] = np.full(16, np.inf, np.float32)
    with pytest.raises(ConversionError) as caught:
        convert_codec(read(write_folder(tmp_path / "hf", tensors)))
    for word in ("is missing", "has no place", "has shape", "not finite"):
        assert word in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(folder, share, tmp_path, capsys):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert main(["convert", str(folder), str(tmp_path / "bundle")]) == 1
    assert "cut short" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_truncated_pickle_is_refused(tmp_path, tensors):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.th"
    torch.save({name: torch.tensor(a) for name, a in tensors.items()}, path)
    whole = path.read_bytes()
    for length in (0, 10, 1000, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ConversionError, match=r"model\.th.*(cut short|not a readable)"):
            read(path)


class Intruder:
    """Runs a command when it is unpickled by a reader that trusts it."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, zipped, capsys):
    torch = pytest.importorskip("torch")
    trace = tmp_path / "trace"
    content = {"encoder.model.0.conv.conv.bias": torch.zeros(2), "payload": Intruder(trace)}
    torch.save(content, tmp_path / "evil.th", _use_new_zipfile_serialization=zipped)
    assert main(["convert", str(tmp_path / "evil.th"), str(tmp_path / "bundle")]) == 1
    assert re.search(r"refused: besides tensors this pickle asks for (posix|os)\.system", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["evil.th"]
    if not zipped:  # the payload is real: a trusting reader would have run it
        pickle.loads(pickle.dumps(Intruder(trace)))
        assert trace.exists()


def test_a_pickle_of_other_things_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save([1, 2], tmp_path / "list.bin")
    with pytest.raises(ConversionError, match="it holds a list"):
        read(tmp_path / "list.bin")
    torch.save({"epoch": 3, "a": torch.zeros(2)}, tmp_path / "training.bin")
    with pytest.raises(ConversionError, match=r"(?s)not tensors.*epoch"):
        read(tmp_path / "training.bin")
    torch.save({"pretrained": "facebook/encodec_32khz"}, tmp_path / "compression_state_dict.bin")
    with pytest.raises(ConversionError, match="only refers to the model 'facebook/encodec_32khz'"):
        read(tmp_path / "compression_state_dict.bin")


def test_pickles_need_pytorch_and_say_so(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "model.th").write_bytes(b"anything")
    with pytest.raises(ConversionError, match=r"pip install torch.*\.safetensors"):
        read(tmp_path / "model.th")


def test_metas_file_names_carry_the_hash_of_the_file(tmp_path):
    (tmp_path / "encodec_24khz-d7cc33bc.th").write_bytes(b"not what Meta published")
    with pytest.raises(ConversionError, match="damaged: its sha256 begins with"):
        read(tmp_path / "encodec_24khz-d7cc33bc.th")


@pytest.mark.parametrize("limit", [200, 5_000])
@pytest.mark.parametrize("command", ["convert", "export"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, folder, command, limit, capsys):
    source = folder
    if command == "export":
        assert main(["convert", str(folder), str(tmp_path / "codec")]) == 0
        source = tmp_path / "codec"
    before = sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code = main([command, str(source), str(tmp_path / "out")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    assert "nothing was kept" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_another_published_model_is_told_apart(folder):
    with pytest.raises(ConversionError, match=r"(?s)not that of encodec-48khz.*sample_rate is 1000, not 48000"):
        convert_codec(read(folder), "encodec-48khz")


@pytest.mark.parametrize("location", ["nowhere", "nowhere/model.th/x", "model.tar", "empty"])
def test_sources_that_are_none(tmp_path, location, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.tar").write_bytes(b"1")
    with pytest.raises(ConversionError, match=r"no such file|unknown file type|no checkpoint in this folder"):
        read(location)


def test_a_missing_shard_and_a_broken_config_are_named(tmp_path, tensors):
    source = sharded(tmp_path / "sharded", tensors)
    (source / "config.json").write_text("{")
    with pytest.raises(ConversionError, match=r"config\.json: not valid JSON"):
        read(source)
    (source / "model-2.safetensors").unlink()
    with pytest.raises(ConversionError, match=r"(?s)shards are missing.*model-2\.safetensors"):
        read(source)


def classifier_tensors(rng, wrap=lambda name: name, layers=2, width=16, dim=6, classes=3, frames=7, hidden=12):
    shapes = {
        "embedding.weight": (width, dim),
        "embedding.bias": (width,),
        "pos_encoder": (1, frames, width),
        "output_layer.weight": (classes, width),
        "output_layer.bias": (classes,),
    }
    for layer in range(layers):
        for name, shape in {
            "self_attn.in_proj_weight": (3 * width, width),
            "self_attn.in_proj_bias": (3 * width,),
            "self_attn.out_proj.weight": (width, width),
            "self_attn.out_proj.bias": (width,),
            "linear1.weight": (hidden, width),
            "linear1.bias": (hidden,),
            "linear2.weight": (width, hidden),
            "linear2.bias": (width,),
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
        }.items():
            shapes[f"transformer_encoder.layers.{layer}.{name}"] = shape
    return {wrap(name): rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_authors_classifier_and_others_of_its_build():
    def other(name):
        name = name.replace("transformer_encoder", "backbone.encoder").replace("embedding", "input_proj")
        return "module." + name.replace("pos_encoder", "pos_embedding").replace("output_layer", "fc")

    theirs = classifier_tensors(np.random.default_rng(1))
    classifier = convert_classifier(Source("SC_transformer.pth", theirs, None, {}))
    assert (classifier.config.dim, classifier.config.classes, classifier.config.frames) == (6, 3, 7)
    assert (classifier.config.width, classifier.config.layers, classifier.config.feed_forward) == (16, 2, 12)
    arrays = bundles.arrays_of(classifier)
    np.testing.assert_array_equal(arrays["positions"], theirs["pos_encoder"][0])
    np.testing.assert_array_equal(
        arrays["layers.1.attention_in.kernel"], theirs["transformer_encoder.layers.1.self_attn.in_proj_weight"].T
    )
    renamed = classifier_tensors(np.random.default_rng(1), other)
    again = bundles.arrays_of(convert_classifier(Source("mine.pth", renamed, None, {})))
    assert arrays.keys() == again.keys()
    assert all((again[path] == array).all() for path, array in arrays.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transformer_encoder.norm.weight": np.ones(16, "f4")}, "transformer_encoder.norm.weight has no place"),
        ({"embed.bias": np.ones(16, "f4")}, "embedding.bias and embed.bias stand for the same tensor"),
        ({"embedding.weight": None}, "no tensor stands for embedding.weight"),
        ({"transformer_encoder.layers.1.norm1.bias": None}, "layers.1.norm1.bias is missing"),
        ({"transformer_encoder.layers.0.linear2.bias": np.ones(3, "f4")}, "linear2.bias has shape (3,)"),
    ],
)
def test_classifiers_of_another_build_are_refused(change, message):
    tensors = classifier_tensors(np.random.default_rng(1)) | change
    tensors = {name: a for name, a in tensors.items() if a is not None}
    with pytest.raises(ConversionError, match=re.escape(message)):
        convert_classifier(Source("SC_transformer.pth", tensors, None, {}))


def fake_hub(cache, tensors):
    """The hub's local cache with one model in it, as huggingface_hub lays it out."""
    import hashlib

    commit = "0123456789abcdef0123456789abcdef01234567"
    model = cache / "models--someone--codec"
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    files = {"model.safetensors": safetensors.numpy.save(tensors)}
    files["config.json"] = json.dumps(configs.to_hugging_face(TINY)[0]).encode()
    for name, content in files.items():
        large = name.endswith("safetensors")
        blob = model / "blobs" / (hashlib.sha256(content) if large else hashlib.sha1(content)).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    return commit, model / "blobs"


def test_hub_models_come_from_the_cache_with_their_hash_checked(tmp_path, tensors, folder, monkeypatch):
    pytest.importorskip("huggingface_hub")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "PINNED", {})
    commit, blobs = fake_hub(tmp_path / "cache", tensors)
    source = read("someone/codec")
    assert weights("someone/codec") == weights(folder)
    assert source.origin["revision"] == commit
    with pytest.raises(ConversionError, match="not in the local cache, and the hub cannot be reached"):
        read("someone/else")
    largest = max(blobs.iterdir(), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(ConversionError, match="damaged: its sha256 is"):
        read("someone/codec")


def test_hub_ids_without_the_extra_say_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConversionError, match=r"pip install 'audex-jax\[hub\]'"):
        read("facebook/encodec_24khz")


def test_fold_weight_norm_is_per_first_axis():
    g, v = np.array([[[2.0]], [[0.5]]]), np.array([[[3.0, 4.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(fold_weight_norm(g, v), [[[1.2, 1.6]], [[0.0, 0.5]]])
