"""DAC's checkpoints: all dialects give one bundle, and every fault of config and tensors is named at once."""

import json
import re

import numpy as np
import pytest
import safetensors.numpy

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.dac import PRESETS, TINY
from weights_conversion import ConversionError, read
from weights_conversion.convert import convert_codec
from weights_conversion.dac.configs import DESCRIPT, from_descript, from_hugging_face, to_hugging_face
from weights_conversion.export import hugging_face_tensors

from .conftest import changed, parametrised

STRIDES = len(TINY.strides)


@pytest.fixture
def tensors(codec_of):
    """As `DacModel` has them."""
    return hugging_face_tensors(codec_of(TINY))


@pytest.fixture
def folder(tmp_path, tensors):
    return write_folder(tmp_path / "hf", tensors)


def write_folder(folder, tensors):
    folder.mkdir()
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(to_hugging_face(TINY)[0]))
    return folder


def weight_normed(tensors):
    """Every kernel as a scale and a direction of another length."""
    found = dict(tensors)
    for name in tensors:
        if name.endswith(".weight") and "codebook" not in name:
            kernel = found.pop(name)
            norm = np.linalg.norm(kernel.reshape(len(kernel), -1), axis=1).reshape(-1, 1, 1)
            found |= {name + "_g": norm.astype(np.float32), name + "_v": (3 * kernel).astype(np.float32)}
    return found


def descript(tensors):
    """Names of Descript's files, in which layers are numbered."""
    units = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
    blocks = {
        "encoder": ["res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"],
        "decoder": ["snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"],
    }

    def rename(name):
        half, *parts = name.split(".")
        if half == "quantizer":
            return name
        top = {"encoder": "encoder.block", "decoder": "decoder.model"}[half]
        if parts[0] != "block":
            place = {"conv1": 0, "snake1": STRIDES + 1, "conv2": STRIDES + 2}[parts[0]]
            return ".".join([top, str(place), *parts[1:]])
        _, number, layer, *rest = parts
        inner = [f"block.{units[rest[0]]}", *rest[1:]] if layer.startswith("res") else rest
        return ".".join([top, str(int(number) + 1), f"block.{blocks[half].index(layer)}", *inner])

    return {rename(name): array for name, array in tensors.items()}


KWARGS = {theirs: getattr(TINY, name) for name, theirs in DESCRIPT.items()} | {
    "encoder_rates": [2, 5],
    "decoder_rates": [5, 2],
    "quantizer_dropout": 0.5,
}


def weights(source) -> dict[str, np.ndarray]:
    return bundles.arrays_of(convert_codec(read(source)))


def test_descripts_files_give_the_bundle_of_hugging_faces_folder(tmp_path, tensors, folder, capsys):
    torch = pytest.importorskip("torch")
    expected = weights(folder)
    normed = weight_normed(tensors)
    assert "encoder.block.1.block.0.block.1.weight_g" in descript(normed)
    for name, dialect in (
        ("old", descript(normed)),
        ("new", descript(parametrised(normed))),
        ("plain", descript(tensors)),
    ):
        content = {"state_dict": {key: torch.tensor(a) for key, a in dialect.items()}, "metadata": {"kwargs": KWARGS}}
        torch.save(content, tmp_path / f"weights_{name}.pth")
        source = read(tmp_path / f"weights_{name}.pth")
        assert source.config == TINY
        found = weights(tmp_path / f"weights_{name}.pth")
        assert found.keys() == expected.keys()
        for path, array in expected.items():
            np.testing.assert_allclose(found[path], array, rtol=3e-7, atol=1e-9, err_msg=path)
    assert main(["convert", str(tmp_path / "weights_old.pth"), str(tmp_path / "bundle")]) == 0
    said = "codec dac-tiny, 1000 Hz, 1 channel(s), 100 frames of 6 numbers a second, bandwidths 0.4, 0.8, 1.2 kbps"
    assert said in capsys.readouterr().out
    assert bundles.load_codec(tmp_path / "bundle").config == TINY


def test_descripts_names_in_safetensors_need_no_pytorch(tmp_path, tensors, folder):
    expected = weights(folder)
    found = weights(write_folder(tmp_path / "numbered", descript(weight_normed(tensors))))
    for path, array in expected.items():
        np.testing.assert_allclose(found[path], array, rtol=3e-7, atol=1e-9, err_msg=path)


def test_export_and_conversion_are_inverse(codec_of, tmp_path, capsys):
    codec = codec_of(TINY)
    bundles.save_codec(tmp_path / "bundle", codec, {})
    assert main(["export", str(tmp_path / "bundle"), str(tmp_path / "hf")]) == 0
    assert "dac-tiny for transformers.DacModel.from_pretrained" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "hf"), str(tmp_path / "again")]) == 0
    again = bundles.load_codec(tmp_path / "again")
    assert again.config == TINY
    arrays = bundles.arrays_of(again)
    assert all((arrays[path] == array).all() for path, array in bundles.arrays_of(codec).items())


def test_tensors_that_do_not_fit_are_all_named_and_nothing_is_written(tmp_path, tensors, capsys):
    snake, kernel = "encoder.block.0.res_unit2.snake1.alpha", "decoder.block.1.conv_t1.weight"
    damage = {
        snake: None,
        "quantizer.quantizers.1.in_proj.bias": None,
        "quantizer.quantizers.9.in_proj.bias": np.zeros(2, "f4"),
        kernel: tensors[kernel].swapaxes(0, 1).copy(),
        "decoder.conv2.bias": np.full(1, np.nan, "f4"),
    }
    source = write_folder(tmp_path / "hf", changed(tensors, damage))
    assert main(["convert", str(source), str(tmp_path / "bundle")]) == 1
    error = capsys.readouterr().err
    for message in (
        f"{snake} is missing",
        "quantizer.quantizers.1.in_proj.bias is missing",
        "quantizer.quantizers.9.in_proj.bias has no place in the model",
        f"{kernel} has shape (2, 4, 4), the model wants (4, 2, 4)",
        "decoder.conv2.bias holds values that are not finite numbers",
    ):
        assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


HF = {"model_type": "dac", "architectures": ["DacModel"], "transformers_version": "4.45.0", "quantizer_dropout": 0}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("dac-16khz", {"n_codebooks": 12, "downsampling_ratios": [2, 4, 5, 8], "upsampling_ratios": [8, 5, 4, 2]}),
        ("dac-24khz", {"n_codebooks": 32, "downsampling_ratios": [2, 4, 5, 8], "sampling_rate": 24_000}),
        ("dac-44khz", {"sampling_rate": 44_100, "hop_length": 512, "hidden_size": 1024}),
    ],
)
def test_published_configs_are_the_presets(name, fields):
    assert from_hugging_face(HF | fields, "config.json") == PRESETS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_configs_go_and_come_back(name):
    config = PRESETS[name]
    assert from_hugging_face(json.loads(json.dumps(to_hugging_face(config)[0])), "config.json") == config
    kwargs = {theirs: getattr(config, ours) for ours, theirs in DESCRIPT.items()}
    _, found = from_descript({"state_dict": {}, "metadata": {"kwargs": kwargs}}, "weights.pth") or ({}, None)
    assert found == config


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"upsampling_ratios": [2, 5]}, "upsampling_ratios is [2, 5], the port knows only [5, 2]"),
        ({"hop_length": 11}, "hop_length is 11, the port knows only 10"),
        ({"downsampling_ratios": [2, "5"]}, "strides is (2, '5')"),
        ({"codebook_dim": [2, 3]}, "codebook_dim is [2, 3]"),
        ({"use_snake": False, "n_codebooks": 0}, "use_snake is unknown; codebooks is 0"),
    ],
)
def test_configs_that_the_port_does_not_understand_are_refused(fields, says):
    with pytest.raises(ConversionError) as raised:
        from_hugging_face(to_hugging_face(TINY)[0] | fields, "config.json")
    assert says in re.sub(r"\s+", " ", str(raised.value))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"decoder_rates": [2, 5]}, "decoder_rates is [2, 5], the port knows only [5, 2]"),
        ({"codebook_dim": [2, 2, 3]}, "codebook_dim is [2, 2, 3]"),
        ({"d_out": 2}, "d_out is unknown"),
    ],
)
def test_descripts_configs_that_the_port_does_not_understand_are_refused(fields, says):
    content = {"state_dict": {}, "metadata": {"kwargs": KWARGS | fields}}
    with pytest.raises(ConversionError, match=re.escape(says)):
        from_descript(content, "weights.pth")
