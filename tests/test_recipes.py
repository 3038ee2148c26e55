"""CONTRIBUTING's recipes, followed: one file each is added to a copy of the package, and is offered everywhere."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

import audex_jax

FILES = {
    "codecs/blocks.py": '''
import dataclasses, jax.numpy as jnp
from flax import nnx

@dataclasses.dataclass(frozen=True)
class BlocksConfig:
    sample_rate: int
    from_dict = classmethod(lambda cls, fields: cls(**fields))

class Blocks(nnx.Module):
    """Frames are blocks of 10 samples."""
    config_class, channels, dim, hop = BlocksConfig, 1, 10, 10
    keeps_level = padding_invariant = traceable = True
    def __init__(self, config, *, rngs=None):
        self.config = config
    from_name = classmethod(lambda cls, rate: cls(BlocksConfig(int(rate))))
    sample_rate = property(lambda self: self.config.sample_rate)
    def frames(self, samples):
        return -(-samples // 10)
    def encode(self, audio, lengths):
        return jnp.pad(audio[..., 0], ((0, 0), (0, -audio.shape[1] % 10))).reshape(len(audio), -1, 10)
    def decode(self, latent, samples):
        return latent.reshape(len(latent), -1, 1)[:, :samples]
    def filler(self, frames, kind, key):
        return jnp.zeros((frames, 10))

FAMILY = Blocks
''',
    "classifiers/halves.py": '''
import dataclasses, jax.numpy as jnp
from flax import nnx

@dataclasses.dataclass(frozen=True)
class HalvesConfig:
    frames: int
    from_dict = classmethod(lambda cls, fields: cls(**fields))

class Halves(nnx.Module):
    """Which half of the clip is louder?"""
    config_class, reads = HalvesConfig, "latent"
    def __init__(self, config, *, rngs=None):
        self.config = config
        self.gain = nnx.Param(jnp.ones(()))
    def __call__(self, latent, valid):
        energy = jnp.square(latent).sum(1) * valid * self.gain[...]
        half = self.config.frames // 2
        return jnp.stack([energy[:half].sum(), energy[half:].sum()])

FAMILY = Halves
''',
    "attribution/methods/half_gradient.py": '''
import jax
from audex_jax.attribution.path import ends, with_gap

def attribute(f, latent, baseline, *, valid, **_):
    """Half the gradient times the input."""
    return with_gap(jax.grad(f)(latent) * (latent - baseline) / 2, *ends(f, latent, baseline), 1, valid)
''',
    "masking/rankings/late.py": '''
import jax.numpy as jnp

def score(attribution, latent, filler, context):
    """Late frames first."""
    return jnp.broadcast_to(jnp.arange(len(latent))[:, None], latent.shape) * 1.0
''',
    "explain/metrics/loudest_sample.py": '''
import numpy as np

def measure(explanation, recording):
    """Largest absolute sample of the explanation."""
    return float(np.abs(explanation.audio).max())
''',
}
CODE = """
import json, sys
import jax.numpy as jnp, numpy as np, pyarrow.parquet as pq
import audex_jax as audex
from audex_jax.bundles import open_codec
from audex_jax.cli import main
from audex_jax.core.registry import CLASSIFIERS

classifier = CLASSIFIERS["halves"]
model = audex.Model(open_codec("blocks:1000"), classifier(classifier.config_class(50)), jnp.zeros(10))
audex.save_explainer("toy", audex.Explainer(model, ("early", "late"), 0.5), {})
audex.write_audio("clip.wav", np.r_[np.zeros(300), 0.5 * np.ones(200)], 1000)
options = ["--model", "toy", "--method", "half-gradient", "--ranking", "late", "--quiet"]
assert main(["explain", "clip.wav", "--out", "out", *options]) == 0
record = json.load(open("out/clip.json"))
assert main(["batch", "clip.wav.txt", "--out", "job", *options]) == 0
(row,) = pq.read_table("job/parts/part-000000.parquet").to_pylist()
print(json.dumps([record["prediction"], record["metrics"], record["completeness_gap"], row["metric_loudest_sample"]]))
"""


def test_what_is_added_is_listed_in_the_help(house):
    for command in ("explain", "batch", "evaluate", "study"):
        text = run(house, "-m", "audex_jax.cli", command, "--help")
        assert [name for name in ("half-gradient", "late") if name not in text] == []


@pytest.mark.slow
def test_what_is_added_explains_and_is_written(house):
    (house / "clip.wav.txt").write_text("clip.wav\n")
    prediction, metrics, gap, loudest = json.loads(run(house, "-c", CODE).splitlines()[-1])
    assert prediction == "late"
    assert metrics["loudest-sample"] == pytest.approx(0.5, abs=1e-3)
    assert loudest == pytest.approx(0.5, abs=1e-3)
    assert gap == pytest.approx(0, abs=1e-3)  # of a quadratic function, half the gradient times the input is exact


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> pathlib.Path:
    """A folder with a copy of the package, to which the files are added."""
    root = tmp_path_factory.mktemp("house")
    shutil.copytree(pathlib.Path(audex_jax.__file__).parent, root / "audex_jax")
    for name, source in FILES.items():
        (root / "audex_jax" / name).write_text(f'"""Added by a test."""\n{source}')
    return root


def run(house: pathlib.Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=house, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
