"""Bundles of strangers: each loads as what it says that it is, or is refused in one line."""

import json
import shutil

import jax
import numpy as np
import pytest

from audex_jax.bundles import describe, load_explainer, save_explainer
from audex_jax.core.registry import CLASSIFIERS, CODECS

from .conftest import damaged, mutated

pytestmark = pytest.mark.attack
COUNT = 12  # mutants a test


@pytest.fixture(scope="module")
def pristine(mdct_explainer, tiny_explainer, tmp_path_factory):
    """A bundle of each kind of codec, and its weights as loaded."""
    root = tmp_path_factory.mktemp("bundles")
    for name, explainer in (("mdct", mdct_explainer), ("encodec", tiny_explainer)):
        save_explainer(root / name, explainer, {"made_by": "test"})
    return root


def weights(explainer) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(explainer.model)]


def verify(explainer, folder, pristine) -> None:
    """What was loaded is what the file says, and its weights are those that were saved."""
    said = json.loads((folder / "bundle.json").read_bytes())
    found = json.loads(json.dumps(describe(CODECS, explainer.model.codec)))
    # a field that is missing has its default
    assert {key: found[key] for key in said["codec"]} == said["codec"]
    found = json.loads(json.dumps(describe(CLASSIFIERS, explainer.model.classifier)))
    assert {key: found[key] for key in said["classifier"]} == said["classifier"]
    assert list(explainer.labels) == said["labels"]
    assert explainer.clip_seconds == said["clip_seconds"]
    assert len(set(explainer.labels)) == explainer.model.classifier.config.classes
    assert explainer.model.codec.frames(explainer.clip_samples) <= explainer.model.classifier.config.frames
    assert weights(explainer) == weights(load_explainer(pristine))


@pytest.mark.parametrize("kind", ["mdct", "encodec"])
@pytest.mark.parametrize("seed", range(8))
def test_mutated_descriptions(pristine, tmp_path, attack, kind, seed):
    rng = np.random.default_rng([seed, len(kind)])
    shutil.copytree(pristine / kind, tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    whole = path.read_bytes()
    for number in range(COUNT):
        content = json.dumps(mutated(json.loads(whole), rng)).encode() if number % 3 else damaged(whole, rng)
        path.write_bytes(content)
        explainer = attack(lambda: load_explainer(tmp_path / "b"))
        if explainer is not None:
            verify(explainer, tmp_path / "b", pristine / kind)


@pytest.mark.parametrize("name", ["codec", "classifier"])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_weights(pristine, tmp_path, attack, name, seed):
    rng = np.random.default_rng([seed, len(name)])
    shutil.copytree(pristine / "encodec", tmp_path / "b")
    path = tmp_path / "b" / f"{name}.safetensors"
    whole = path.read_bytes()
    for number in range(COUNT):
        content = damaged(whole, rng, head=2000 if number % 2 else len(whole))
        path.write_bytes(content)
        explainer = attack(lambda: load_explainer(tmp_path / "b"))
        assert explainer is None or content == whole
