"""Strangers: what they say is counted against what they say themselves, and against the loudest elements."""

import json
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import main
from audex_jax.core.errors import AudexError
from audex_jax.core.types import Array
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.strangers import open_strangers, summarise_strangers
from audex_jax.evaluation.transfer import ask_strangers
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model

HOP = 10


class Levels(NamedTuple):
    """A codec: the latent is the root mean square of each frame; decoded, it is a tone of that level."""

    gain: Array
    sample_rate, channels, dim, hop = 1000, 1, 1, HOP
    keeps_level = padding_invariant = traceable = True

    def frames(self, samples):
        return -(-samples // HOP)

    def encode(self, audio, lengths):
        frames = jnp.pad(audio[..., 0], ((0, 0), (0, -audio.shape[1] % HOP))).reshape(len(audio), -1, HOP)
        return self.gain * jnp.sqrt(jnp.square(frames).mean(-1) + 1e-12)[..., None]

    def decode(self, latent, samples):
        tone = jnp.sqrt(2.0) * jnp.sin(jnp.pi / 2 * (jnp.arange(samples) + 0.5))
        return (jnp.repeat(latent[..., 0] / self.gain, HOP, 1)[:, :samples] * tone)[..., None]

    def filler(self, frames, kind, key):
        return jnp.zeros((frames, 1))


class Halves(NamedTuple):
    """Is the first half of the clip louder, or the second?"""

    kernel: Array
    bias: Array
    reads = "latent"

    def __call__(self, clip, valid):
        loudness = jnp.abs(clip).sum(-1) * valid
        late = jnp.arange(len(loudness)) >= len(loudness) // 2
        return jnp.stack([(loudness * ~late).sum(), (loudness * late).sum()]) @ self.kernel + self.bias


class HalvesOfAudio(Halves):
    reads = "audio"


def explainer(kernel, bias=(0.0, 0.0), kind=Halves, gain: float = 1.0, seconds: float = 0.2) -> Explainer:
    classifier = kind(jnp.array(kernel), jnp.array(bias))
    return Explainer(Model(Levels(jnp.array(gain)), classifier, jnp.zeros(1)), ("early", "late"), seconds)


SAME, CONTRARY, NOTHING = [[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]], [[0.0, 0.0], [0.0, 0.0]]
STRANGERS = {
    "of another latent": explainer(SAME, gain=3.0),
    "of audio": explainer(SAME, kind=HalvesOfAudio),
    "contrary": explainer(CONTRARY),
    "stubborn": explainer(NOTHING, (1.0, 0.0)),
}
PLAN = Plan(("magnitude", "random"), ("zero",), (0.3, 0.5), seeds=1, steps=2)


@pytest.fixture
def files(tmp_path, rng) -> list[LabelledClip]:
    """Noise with its first or second half five times as loud, by three speakers."""
    found = []
    for i in range(6):
        level = np.where((np.arange(200) < 100) == (i % 2 == 0), 0.5, 0.1)
        soundfile.write(tmp_path / f"{i}.wav", level * rng.uniform(-1, 1, 200), 1000)
        found.append(LabelledClip(tmp_path / f"{i}.wav", ("early", "late")[i % 2], f"speaker {i // 2}", "test"))
    return found


@pytest.mark.parametrize("chunk", [3, 8])
def test_strangers_are_compared_with_themselves(files, chunk, tmp_path):
    found = ask_strangers(explainer(SAME), STRANGERS, files, PLAN, tmp_path / "kept", chunk)
    assert found.kept.shape == found.lost.shape == (6, 4, 2, 2)
    assert found.reconstructed.T.tolist() == [[0, 1] * 3, [0, 1] * 3, [1, 0] * 3, [0] * 6]
    loudest = PLAN.methods.index("magnitude")
    assert found.kept[:, :, loudest].all()  # half of the frames are loud, all in one half of the clip
    assert found.lost[:, :3, loudest, 1].all()
    assert not found.lost[:, 3].any()  # it has one answer only
    random = 1 - loudest
    np.testing.assert_array_equal(found.kept[:, 0, random], found.kept[:, 2, random])  # one decides as the other
    again = ask_strangers(explainer(SAME), STRANGERS, files, PLAN, tmp_path / "kept", chunk)
    np.testing.assert_array_equal(again.lost, found.lost)


def test_figures_are_of_each_stranger_and_of_their_mean(files):
    found = ask_strangers(explainer(SAME), STRANGERS, files, PLAN)
    summary = summarise_strangers(found)
    assert summary["against"] == "magnitude"
    assert summary["resampled"] == "speakers"
    assert summary["accuracy"] == {"of another latent": 1, "of audio": 1, "contrary": 0, "stubborn": 0.5}
    figures = {(f["stranger"], f["method"], f["share"]): f for f in summary["figures"]}
    assert len(figures) == 5 * 2 * 2
    assert figures["mean", "magnitude", 0.5]["keep"] == {"mean": 1, "low": 1, "high": 1}
    assert figures["mean", "magnitude", 0.5]["delete"]["mean"] == 0.75
    assert "keep_difference" not in figures["mean", "magnitude", 0.5]
    random = figures["mean", "random", 0.5]
    expected = found.lost[:, :, 1, 1].mean() - 0.75
    assert random["delete_difference"]["mean"] == pytest.approx(expected)
    assert random["delete_difference"]["low"] <= expected <= random["delete_difference"]["high"]
    assert figures["stubborn", "random", 0.5]["delete_difference"] == {"mean": 0, "low": 0, "high": 0}
    no_speakers = summarise_strangers(found._replace(speakers=(None, *found.speakers[1:])))
    assert no_speakers["resampled"] == "clips"


@pytest.mark.parametrize(
    ("stranger", "words"),
    [
        (Explainer(explainer(CONTRARY).model, ("early", "other"), 0.2), "has other labels"),
        (explainer(CONTRARY, seconds=0.1), "takes clips of 0.1 s; 0.2 s needed"),
        (explainer(SAME), "is the explained model itself"),
    ],
)
def test_strangers_that_cannot_listen_are_refused(stranger, words, files):
    with pytest.raises(AudexError, match=words):
        ask_strangers(explainer(SAME), {"it": stranger}, files, PLAN)


@pytest.mark.slow
def test_the_command_asks_strangers(mdct_explainer, classifier_of, tmp_path, rng, capsys):
    codec = mdct_explainer.model.codec
    save_explainer(tmp_path / "own", mdct_explainer, {})
    for seed in (2, 3):
        classifier = classifier_of(seed, dim=codec.dim, classes=3, frames=codec.frames(1000))
        stranger = Explainer(mdct_explainer.model._replace(classifier=classifier), mdct_explainer.labels, 1.0)
        save_explainer(tmp_path / "strangers" / f"{seed}", stranger, {})
    for label in mdct_explainer.labels:
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(6):
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", 0.3 * rng.normal(size=900), 1000)
    given = ["evaluate", str(tmp_path / "data"), "--model", str(tmp_path / "own"), "--out", str(tmp_path / "out")]
    given += ["--methods", "magnitude,random", "--levels", "0.2", "--fillers", "mean", "--seeds", "1", "--limit", "3"]
    given += ["--quiet", "--devices", "1", "--steps", "2", "--strangers"]
    assert main([*given, f"{tmp_path / 'strangers'},{tmp_path / 'strangers' / '2'}"]) == 0
    said = capsys.readouterr().out
    assert "strangers, 0.2 of the elements, filler mean" in said
    record = json.loads((tmp_path / "out" / "fidelity.json").read_text())["strangers"]
    assert {f["stranger"] for f in record["figures"]} == {"3", str(tmp_path / "strangers" / "2"), "mean"}
    assert main([*given, str(tmp_path / "data")]) == 1
    assert "no explainer bundle, and none in it" in capsys.readouterr().err
    assert list(open_strangers([tmp_path / "own"])) == ["own"]
