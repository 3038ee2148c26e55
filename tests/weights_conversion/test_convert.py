"""Converting checkpoints: all dialects give one bundle, and every fault of the tensors is named and leaves nothing."""

import dataclasses
import re
import resource

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from audex_jax import bundles
from audex_jax.cli import main
from audex_jax.codecs.encodec.config import TINY
from weights_conversion import ConversionError, convert_classifier, convert_codec, read
from weights_conversion.sources import Source

from .conftest import changed, folded, meta, parametrised, weights, write_folder

GROUPED = dataclasses.replace(TINY, name="grouped", channels=2, norm="group", causal=False, normalize=True)


def test_all_dialects_give_the_same_bundle_bit_for_bit(tmp_path, folder, tensors):
    expected = weights(folder)
    for dialect in (parametrised, folded, meta, wrapped):
        assert weights(write_folder(tmp_path / dialect.__name__, dialect(tensors))) == expected
    assert weights(write_folder(tmp_path / "sharded", tensors, shards=2)) == expected
    assert weights(folder / "model.safetensors") == expected


def test_converted_arrays_are_where_they_belong(tensors, folder):
    arrays, plain = bundles.arrays_of(convert_codec(read(folder))), folded(tensors)
    lstm = "encoder.layers.7.lstm.bias_"
    for ours, theirs in (
        (arrays["encoder.layers.0.kernel"][3, 0], plain["encoder.layers.0.conv.weight"][:, 0, 3]),
        (arrays["decoder.layers.3.kernel"][7, 2], plain["decoder.layers.3.conv.weight"][2, :, 7]),
        (arrays["encoder.layers.4.widen.kernel"][0], plain["encoder.layers.4.block.3.conv.weight"][..., 0].T),
        (arrays["encoder.layers.7.layers.0.bias"], plain[lstm + "ih_l0"] + plain[lstm + "hh_l0"]),
        (arrays["quantizer.codebooks"][2], plain["quantizer.layers.2.codebook.embed"]),
    ):
        np.testing.assert_array_equal(ours, theirs)


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


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_precisions_are_read_as_float32(tmp_path, tensors, dtype):
    source = write_folder(tmp_path / "hf", {name: a.astype(dtype) for name, a in tensors.items()})
    bias = bundles.arrays_of(convert_codec(read(source)))["encoder.layers.0.bias"]
    assert bias.dtype == np.float32
    np.testing.assert_array_equal(bias, tensors["encoder.layers.0.conv.bias"].astype(dtype).astype(np.float32))


def wrapped(tensors):
    """As people's trainers name the tensors of a compiled model in a module of theirs."""
    return {f"module._orig_mod.model.{name}": array for name, array in tensors.items()}


KERNEL, BIAS = "encoder.layers.3.conv.weight_v", "encoder.layers.3.conv.bias"
LSTM, BOOK = "encoder.layers.7.lstm.weight_ih_l0", "quantizer.layers.1.codebook.embed"
MISSING = (lambda t: {KERNEL: None, BOOK: None}, ["encoder.layers.3.conv.weight is missing", f"{BOOK} is missing"])
EXTRA = (lambda t: {"decoder.layers.99.conv.bias": t[BIAS]}, ["decoder.layers.99.conv.bias has no place in the model"])
SHAPE = (lambda t: {BIAS: t[BIAS][:-1]}, [f"{BIAS} has shape (3,), the model wants (4,)"])
NAN = (lambda t: {"decoder.layers.0.conv.bias": np.full(16, np.inf, "f4")}, ["holds values that are not finite"])
FAULTS = {
    "missing": MISSING,
    "extra": EXTRA,
    "shape": SHAPE,
    "nan": NAN,
    "all of these": (
        lambda t: MISSING[0](t) | EXTRA[0](t) | SHAPE[0](t) | NAN[0](t),
        MISSING[1] + EXTRA[1] + SHAPE[1] + NAN[1],
    ),
    "transposed": (lambda t: {LSTM: t[LSTM].T.copy()}, [f"{LSTM} has shape (8, 32), the model wants (32, 8)"]),
    "integers": (lambda t: {BIAS: t[BIAS].astype(np.int32)}, [f"{BIAS} holds int32"]),
    "too large for float32": (
        lambda t: {BIAS: np.full(4, 1e39)},
        [f"{BIAS} holds values that are not finite numbers"],
    ),
    "zero direction": (lambda t: {KERNEL: 0 * t[KERNEL]}, [f"{KERNEL} holds values that are not finite"]),
    "twice": (lambda t: parametrised({name: t[name] for name in (KERNEL, KERNEL[:-1] + "g")}), ["stands beside"]),
    "another model": (
        lambda t: dict.fromkeys(t) | {"wav2vec2.encoder.weight": np.ones((2, 2), "f4")},
        ["wav2vec2.encoder.weight has no place", "encoder.layers.0.conv.bias is missing", " more"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_tensors_that_do_not_fit_are_all_named_and_nothing_is_written(tmp_path, tensors, fault, capsys):
    damage, messages = FAULTS[fault]
    source = write_folder(tmp_path / "hf", changed(tensors, damage(tensors)))
    assert main(["convert", str(source), str(tmp_path / "bundle")]) == 1
    error = capsys.readouterr().err
    assert [message for message in messages if message not in error] == []
    assert error.count("do not fit the model") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_another_published_model_is_told_apart(folder):
    with pytest.raises(ConversionError, match=r"(?s)not that of encodec-48khz.*sample_rate is 1000, not 48000"):
        convert_codec(read(folder), "encodec-48khz")


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


def classifier_tensors(rename=lambda name: name):
    """The published classifier's build in small: 2 layers of width 16 and 12, dimension 6, 3 classes, 50 frames."""
    rng = np.random.default_rng(1)
    shapes = {"embedding.weight": (16, 6), "embedding.bias": (16,), "pos_encoder": (1, 50, 16)}
    shapes |= {"output_layer.weight": (3, 16), "output_layer.bias": (3,)}
    for layer in ("transformer_encoder.layers.0.", "transformer_encoder.layers.1."):
        shapes |= {layer + "self_attn.in_proj_weight": (48, 16), layer + "self_attn.in_proj_bias": (48,)}
        for name, rows, columns in (("self_attn.out_proj", 16, 16), ("linear1", 12, 16), ("linear2", 16, 12)):
            shapes |= {f"{layer}{name}.weight": (rows, columns), f"{layer}{name}.bias": (rows,)}
        shapes |= {f"{layer}norm{n}.{kind}": (16,) for n in (1, 2) for kind in ("weight", "bias")}
    return {rename(name): rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_the_authors_classifier_and_others_of_its_build():
    def other(name):
        name = name.replace("transformer_encoder", "backbone.encoder").replace("embedding", "input_proj")
        return "module." + name.replace("pos_encoder", "pos_embedding").replace("output_layer", "fc")

    theirs = classifier_tensors()
    classifier = convert_classifier(Source("SC_transformer.pth", theirs, None, {}))
    assert (classifier.config.dim, classifier.config.classes, classifier.config.frames) == (6, 3, 50)
    assert (classifier.config.width, classifier.config.layers, classifier.config.feed_forward) == (16, 2, 12)
    arrays = bundles.arrays_of(classifier)
    np.testing.assert_array_equal(arrays["positions"], theirs["pos_encoder"][0])
    np.testing.assert_array_equal(
        arrays["layers.1.attention_in.kernel"], theirs["transformer_encoder.layers.1.self_attn.in_proj_weight"].T
    )
    again = bundles.arrays_of(convert_classifier(Source("mine.pth", classifier_tensors(other), None, {})))
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
    with pytest.raises(ConversionError, match=re.escape(message)):
        convert_classifier(Source("SC_transformer.pth", changed(classifier_tensors(), change), None, {}))


def test_the_published_classifier_becomes_an_explainer(codec_of, tmp_path, capsys):
    bundles.save_codec(tmp_path / "codec", codec_of(TINY), {})
    safetensors.numpy.save_file(classifier_tensors(), tmp_path / "SC_transformer.safetensors")
    (tmp_path / "words.txt").write_text("yes\nno\nup\n")
    (tmp_path / "two.txt").write_text("yes\nno\n")
    command = ["convert", str(tmp_path / "SC_transformer.safetensors"), str(tmp_path / "out"), "--heads", "2"]
    assert main(command) == 2
    assert "give the codec that it goes with" in capsys.readouterr().err
    command += ["--codec", str(tmp_path / "codec"), "--bandwidth", "0.8", "--labels"]
    assert main([*command, str(tmp_path / "two.txt")]) == 1
    assert "the classifier has 3 classes" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "words.txt")]) == 0
    explainer = bundles.load_explainer(tmp_path / "out")
    assert (explainer.labels, explainer.clip_seconds) == (("yes", "no", "up"), 0.5)
    assert explainer.model.codec.bandwidth == 0.8
    np.testing.assert_array_equal(explainer.model.classifier.positions[...], classifier_tensors()["pos_encoder"][0])
