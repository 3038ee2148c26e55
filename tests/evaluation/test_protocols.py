"""An evaluation of a codec and a classifier that are defined here: nothing but the protocols is asked for."""

import pathlib
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from audex_jax.core.types import Array
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import Plan, evaluate, sanity, summarise
from audex_jax.evaluation.arms import INPUT_ARMS, arm_names
from audex_jax.evaluation.transfer import ask_strangers
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model

HOP = 10


class Amplitudes(NamedTuple):
    """A codec: the latent is the root mean square of each frame in two gains; decoded, it is a tone of that level."""

    gains: Array
    sample_rate, channels, dim, hop = 1000, 1, 2, HOP
    keeps_level = padding_invariant = traceable = True

    def frames(self, samples):
        return -(-samples // HOP)

    def encode(self, audio, lengths):
        frames = jnp.pad(audio[..., 0], ((0, 0), (0, -audio.shape[1] % HOP))).reshape(len(audio), -1, HOP)
        return jnp.sqrt(jnp.square(frames).mean(-1) + 1e-12)[..., None] * self.gains

    def decode(self, latent, samples):
        tone = jnp.sqrt(2.0) * jnp.sin(jnp.pi / 2 * (jnp.arange(samples) + 0.5))
        return (jnp.repeat(latent @ self.gains, HOP, 1)[:, :samples] * tone / (self.gains @ self.gains))[..., None]

    def filler(self, frames, kind, key):
        return jnp.zeros((frames, 2))


class Halves(NamedTuple):
    """A classifier: is the first half of the clip louder, or the second?"""

    kernel: Array
    reads = "latent"

    def __call__(self, clip, valid):
        loudness = jnp.abs(clip).sum(-1) * valid
        late = jnp.arange(len(loudness)) >= len(loudness) // 2
        return jnp.stack([(loudness * ~late).sum(), (loudness * late).sum()]) @ self.kernel


class HalvesOfAudio(Halves):
    reads = "audio"


class Loudest(NamedTuple):
    """A mask network that ranks by loudness and finds every target present."""

    gain: Array

    def __call__(self, latent, hidden, target, valid):
        return self.gain * jnp.abs(latent), self.gain


@pytest.fixture
def files(tmp_path, rng) -> list[LabelledClip]:
    """Noise with its first or second half five times as loud."""
    found = []
    for i in range(4):
        path = pathlib.Path(tmp_path / f"{i}.wav")
        level = np.where((np.arange(200) < 100) == (i % 2 == 0), 0.5, 0.1)
        soundfile.write(path, level * rng.uniform(-1, 1, 200), 1000)
        found.append(LabelledClip(path, ("early", "late")[i % 2], None, "test"))
    return found


def explainer(reads: str) -> Explainer:
    kernel = jnp.array([[1.0, -1.0], [-1.0, 1.0]])
    classifier = Halves(kernel) if reads == "latent" else HalvesOfAudio(kernel)
    model = Model(Amplitudes(jnp.array([1.0, 2.0])), classifier, jnp.zeros(2), Loudest(jnp.float32(1)))
    return Explainer(model, ("early", "late"), 0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reads", "methods"),
    [("latent", arm_names()), ("audio", ("matched-mask", "saliency", "random", "waveform-ig"))],
)
def test_a_toy_model_is_evaluated_by_every_arm(files, reads, methods):
    plan = Plan((*methods, "gradient-x-input:frames"), ("noise", "other"), (0.2, 0.5), seeds=2, steps=4)
    scores = evaluate(explainer(reads), files, plan)
    assert scores.predicted.tolist() == scores.reconstructed.tolist() == scores.label.tolist() == [0, 1, 0, 1]
    probability = scores.edited_probability[..., 1]
    for i, row in enumerate(plan.rows):
        assert (row.method in INPUT_ARMS) == np.isnan(scores.edited_probability[:, i, ..., 0]).all()
        whole, nothing = probability[:, i, [-1, 0], [0, 1]], probability[:, i, [0, -1], [0, 1]]
        np.testing.assert_allclose(whole, scores.probability[:, [1, 1]], atol=1e-5, err_msg=str(row))
        np.testing.assert_allclose(nothing[:, 0], nothing[:, 1], atol=1e-5, err_msg=str(row))
    record = summarise(scores)
    frames = next(c for c in record["curves"] if c["method"] == "gradient-x-input:frames" and c["domain"] == "audio")
    assert frames["agreement"][1:] == [1, 1, 1]  # the loud half comes first
    assert all(a["median_gap"] < 1e-3 for a in record["attribution"])  # the model is linear in the latent


def test_a_toy_model_transfers_and_is_randomised(files):
    own, other = explainer("latent"), explainer("audio")
    heard = ask_strangers(own, {"other": other}, files, Plan(("gradient-x-input",), ("zero",), (0.5,)))
    assert heard.kept.all()
    assert heard.lost.all()
    clips = [soundfile.read(f.path)[0] for f in files]
    stages = sanity.cascade(own, clips, random_labels=own)
    assert [stage.layer for stage in stages] == ["intact", "all weights", "random labels"]
    assert stages[2].overlap == 1
    assert sanity.assess(stages)[0] is False
