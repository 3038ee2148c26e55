"""Bundles: what is written comes back, what is broken is named, and nothing is left half-written."""

import json
import os
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from audex_jax.bundles import BundleError, arrays_of, load_codec, save_codec
from audex_jax.codecs.encodec.config import TINY


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
