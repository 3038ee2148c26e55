"""Files, folders, pickles and the hub: what is broken, hostile or not there is named, and nothing of it is run."""

import dataclasses
import hashlib
import json
import os
import pickle
import re
import sys

import pytest
import safetensors.numpy

from audex_jax.cli import main
from audex_jax.codecs.encodec.config import TINY
from weights_conversion import ConversionError, read
from weights_conversion.encodec import configs

from .conftest import AUDIOCRAFT, meta, weights, write_folder


def test_pickled_dialects_give_the_same_bundle_bit_for_bit(tmp_path, folder, tensors):
    torch = pytest.importorskip("torch")
    expected = weights(folder)
    state = {name: torch.tensor(a) for name, a in tensors.items()}
    original = {name: torch.tensor(a) for name, a in meta(tensors).items()}
    config = {"xp.cfg": AUDIOCRAFT, "best_state": original, "version": "1.0", "exported": True}
    torch.save(config, tmp_path / "compression_state_dict.bin")
    assert weights(tmp_path / "compression_state_dict.bin") == expected
    read_config = read(tmp_path / "compression_state_dict.bin").config
    assert read_config == dataclasses.replace(TINY, name=read_config.name, bandwidths=read_config.bandwidths)
    assert read_config.bandwidths == (0.4, 0.8, 1.6)
    (folder / "model.safetensors").unlink()
    for zipped in (True, False):
        torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        assert weights(folder) == expected


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


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("list.bin", [1, 2], "it holds a list"),
        ("training.bin", {"epoch": 3}, r"(?s)not tensors.*epoch"),
        ("compression_state_dict.bin", {"pretrained": "facebook/encodec_32khz"}, "only refers to the model 'facebook"),
    ],
)
def test_a_pickle_of_other_things_is_refused(tmp_path, name, content, says):
    torch = pytest.importorskip("torch")
    torch.save(content, tmp_path / name)
    with pytest.raises(ConversionError, match=says):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("package", "source", "says"),
    [
        ("torch", "model.th", r"pip install torch.*\.safetensors"),
        ("huggingface_hub", "facebook/encodec_24khz", r"pip install 'audex-jax\[hub\]'"),
    ],
)
def test_what_has_to_be_installed_is_told(tmp_path, monkeypatch, package, source, says):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.th").write_bytes(b"anything")
    with pytest.raises(ConversionError, match=says):
        read(source)


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("nowhere", "no such file"),
        ("nowhere/model.th/x", "no such file"),
        ("model.tar", "unknown file type"),
        ("empty", "no checkpoint in this folder"),
        ("encodec_24khz-d7cc33bc.th", "damaged: its sha256 begins with"),  # Meta's names carry the hash of the file
    ],
)
def test_sources_that_are_none(tmp_path, location, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("model.tar", "encodec_24khz-d7cc33bc.th"):
        (tmp_path / name).write_bytes(b"1")
    with pytest.raises(ConversionError, match=says):
        read(location)


def test_a_missing_shard_and_a_broken_config_are_named(tmp_path, tensors):
    source = write_folder(tmp_path / "sharded", tensors, shards=2)
    (source / "config.json").write_text("{")
    with pytest.raises(ConversionError, match=r"config\.json: not valid JSON"):
        read(source)
    (source / "model-2.safetensors").unlink()
    with pytest.raises(ConversionError, match=r"(?s)shards are missing.*model-2\.safetensors"):
        read(source)


def fake_hub(cache, tensors):
    """The hub's local cache with one model in it, as huggingface_hub lays it out."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    model = cache / "models--someone--codec"
    snapshot = model / "snapshots" / commit
    for folder in (snapshot, model / "blobs", model / "refs"):
        folder.mkdir(parents=True)
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
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit, blobs = fake_hub(tmp_path / "cache", tensors)
    assert weights("someone/codec") == weights(folder)
    assert read("someone/codec").origin["revision"] == commit
    with pytest.raises(ConversionError, match="not in the local cache, and the hub cannot be reached"):
        read("someone/else")
    largest = max(blobs.iterdir(), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(ConversionError, match="damaged: its sha256 is"):
        read("someone/codec")
