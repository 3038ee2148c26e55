"""Bundles: what is written comes back, what is broken is named, and nothing is left half-written."""

import json
import os
import pathlib

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from audex_jax.bundles import BundleError, arrays_of, load_codec, load_explainer, save_codec, save_explainer
from audex_jax.codecs.encodec.config import TINY
from audex_jax.explain.explainer import Explainer


@pytest.fixture
def bundle(codec_of, tmp_path) -> pathlib.Path:
    save_codec(tmp_path / "codec", codec_of(TINY), {"made_by": "test"})
    return tmp_path / "codec"


def test_weights_and_config_come_back(codec_of, bundle):
    loaded = load_codec(bundle)
    assert loaded.config == TINY
    ours, theirs = arrays_of(codec_of(TINY)), arrays_of(loaded)
    assert ours.keys() == theirs.keys()
    for path in ours:
        np.testing.assert_array_equal(ours[path], theirs[path])
    assert os.listdir(bundle.parent) == ["codec"]


def test_half_precision_halves_the_file_and_loads_as_float32(codec_of, bundle, tmp_path):
    save_codec(tmp_path / "half", codec_of(TINY), {}, np.float16)
    sizes = [(directory / "codec.safetensors").stat().st_size for directory in (tmp_path / "half", bundle)]
    assert sizes[0] < 0.7 * sizes[1]
    assert {array.dtype for array in arrays_of(load_codec(tmp_path / "half")).values()} == {np.dtype("float32")}


def test_all_faults_are_listed_at_once(bundle):
    path = bundle / "codec.safetensors"
    arrays = safetensors.numpy.load_file(path)
    del arrays["encoder.layers.0.bias"]
    arrays["stranger"] = np.zeros(3, np.float32)
    arrays["encoder.layers.0.kernel"] = np.zeros((1, 2), np.float32)
    arrays["decoder.layers.0.bias"] = np.full_like(arrays["decoder.layers.0.bias"], np.nan)
    safetensors.numpy.save_file(arrays, path)
    faults = (
        "encoder.layers.0.bias is missing",
        "stranger is not part of the model",
        "encoder.layers.0.kernel has shape (1, 2)",
        "decoder.layers.0.bias holds values that are not finite",
    )
    with pytest.raises(BundleError) as caught:
        load_codec(bundle)
    assert [fault for fault in faults if fault not in str(caught.value)] == []


def test_warnings_and_the_card_are_kept(tiny_explainer, tmp_path):
    warned = Explainer(tiny_explainer.model, tiny_explainer.labels, tiny_explainer.clip_seconds, ("It guesses.",))
    save_explainer(tmp_path / "b", warned, {}, card="# b\n")
    assert load_explainer(tmp_path / "b").warnings == ("It guesses.",)
    assert (tmp_path / "b" / "README.md").read_text() == "# b\n"


def test_a_truncated_or_missing_file_is_named(bundle):
    path = bundle / "codec.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BundleError, match="not a readable safetensors file"):
        load_codec(bundle)
    path.unlink()
    with pytest.raises(BundleError, match="the bundle is incomplete"):
        load_codec(bundle)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: json.dumps(d | {"version": 99}), "not a version 1"),
        (lambda d: json.dumps(d | {"codec": d["codec"] | {"colour": "red"}}), "does not understand: colour"),
        (lambda d: json.dumps(d | {"codec": d["codec"] | {"family": "wax"}}), "no codec family 'wax'; choose one of"),
        (lambda d: json.dumps({k: v for k, v in d.items() if k != "codec"}), "codec"),
        (lambda d: "{", "not valid JSON"),
    ],
)
def test_a_description_that_is_not_understood_is_refused(bundle, change, says):
    path = bundle / "bundle.json"
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(BundleError, match=says):
        load_codec(bundle)


def changed_field(part, name, value):
    """A change of one field of `bundle.json`, of the whole or of one part."""

    def change(d: dict) -> dict:
        return d | {name: value} if part is None else d | {part: d[part] | {name: value}}

    return change


@pytest.mark.parametrize(
    ("part", "name", "value", "says"),
    [
        (None, "labels", "abc", "labels is 'abc', not a list"),
        (None, "labels", {"a": 1}, "labels is"),
        (None, "labels", ["a", "b"], "classes of the classifier is 3, codec and labels have 2"),
        (None, "labels", ["a", "a", "b"], "not 3 different ones"),
        (None, "labels", ["a", "b", ""], "without blanks"),
        (None, "labels", ["a", "b", "\x1b[2J"], "labels is"),
        (None, "labels", ["a", "b", 3], "labels is"),
        (None, "clip_seconds", 1e9, "clip_seconds is 1000000000.0, not a number from"),
        (None, "clip_seconds", "1", "clip_seconds is '1'"),
        (None, "clip_seconds", 3.0, "frames of the classifier is 100, a clip has 300"),
        (None, "bandwidth", 0.5, "has no bandwidth 0.5"),
        (None, "origin", [], "origin is no object"),
        (None, "warnings", "It guesses.", "warnings is not a list of texts"),
        (None, "warnings", [1], "warnings is not a list of texts"),
        ("classifier", "layers", 10**9, "layers is 1000000000, not a whole number from 1 to 256"),
        ("classifier", "heads", 0, "heads is 0"),
        ("classifier", "heads", 3, "not divisible by 3"),
        ("classifier", "classes", 4, "classes of the classifier is 4|has shape"),
        ("classifier", "companding", "NaN", "companding is 'NaN'"),
        ("classifier", "family", ["x"], "bundle.json"),
        ("codec", "pad_mode", "x", "pad_mode is 'x', not 'reflect' or 'constant'"),
        ("codec", "ratios", [], "ratios is"),
        ("codec", "ratios", [1024] * 9, "make frames of"),
        ("codec", "causal", 1, "causal is 1, not true or false"),
        ("codec", "codebook_size", 1, "codebook_size is 1"),
        ("codec", "sample_rate", 10**400, "sample_rate is"),
        ("codec", "name", "x" * 10**6, "name is"),
    ],
)
def test_every_field_of_a_bundle_is_checked_before_anything_is_built(tiny_explainer, tmp_path, part, name, value, says):
    save_explainer(tmp_path / "b", tiny_explainer, {})
    path = tmp_path / "b" / "bundle.json"
    path.write_text(json.dumps(changed_field(part, name, value)(json.loads(path.read_text()))))
    with pytest.raises(BundleError, match=says) as raised:
        load_explainer(tmp_path / "b")
    assert len(str(raised.value)) < 2500


@pytest.mark.parametrize(
    ("text", "says"),
    [('{"a": 1, "a": 1}', "a key stands twice"), ("[" * 10**5, "nested too deep"), ('{"a": NaN}', "NaN is no number"),
     ("[]", "holds a list"), ("\xff", "not valid JSON|not a version")],
)  # fmt: skip
def test_json_with_surprises_is_refused(bundle, text, says):
    (bundle / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=says):
        load_codec(bundle)


def test_weights_have_to_be_finite_in_float32_when_read_and_when_written(bundle, codec_of, tmp_path):
    arrays = safetensors.numpy.load_file(bundle / "codec.safetensors")
    for value, says in ((1e39, "encoder.layers.0.bias holds values that are not finite"), (1, "holds int64")):
        safetensors.numpy.save_file(arrays | {"encoder.layers.0.bias": np.full(2, value)}, bundle / "codec.safetensors")
        with pytest.raises(BundleError, match=says):
            load_codec(bundle)
    codec = nnx.clone(codec_of(TINY))
    codec.encoder.layers[0].bias[...] = np.full(2, 1e5, np.float32)
    with pytest.raises(BundleError, match=r"not finite as float16: encoder\.layers\.0\.bias"):
        save_codec(tmp_path / "half", codec, {}, np.float16)
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("name", ["bundle.json", "codec.safetensors"])
def test_pipes_are_no_files_of_a_bundle(bundle, name):
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(BundleError, match="not a regular file but a pipe or a device"):
        load_codec(bundle)


def test_a_replaced_bundle_is_there_at_every_instant(bundle, codec_of, monkeypatch):
    def gone(*_):
        raise KeyboardInterrupt

    before = (bundle / "codec.safetensors").read_bytes()
    monkeypatch.setattr("audex_jax.io.atomic._exchanged", gone)
    with pytest.raises(KeyboardInterrupt):
        save_codec(bundle, codec_of(TINY, 1), {})
    assert (bundle / "codec.safetensors").read_bytes() == before
    left = bundle.with_name(f".{bundle.name}.00000000.audex-tmp")  # as a killed process leaves it
    left.mkdir()
    monkeypatch.undo()
    save_codec(bundle, codec_of(TINY, 1), {})
    assert (bundle / "codec.safetensors").read_bytes() != before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_bundle_is_replaced_but_other_things_are_not(codec_of, bundle, tmp_path):
    save_codec(bundle, codec_of(TINY, 1), {})
    kernels = [arrays_of(codec)["encoder.layers.0.kernel"] for codec in (load_codec(bundle), codec_of(TINY, 1))]
    np.testing.assert_array_equal(*kernels)
    (tmp_path / "thesis").mkdir()
    chapter = tmp_path / "thesis" / "chapter.txt"
    chapter.write_text("years of work")
    for place, says in ((tmp_path / "thesis", "holds other things"), (chapter / "codec", "cannot write there")):
        with pytest.raises(BundleError, match=says):
            save_codec(place, codec_of(TINY), {})
    assert chapter.read_text() == "years of work"
