"""A codec and a classifier that the package has never seen go through everything unchanged."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from audex_jax.batch.job import run_job, run_of
from audex_jax.batch.manifest import read_manifest
from audex_jax.batch.plan import Job
from audex_jax.batch.store import open_store
from audex_jax.batch.stream import explain_batches
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model
from audex_jax.report.files import explain_files
from audex_jax.report.page import write_report


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Blocks:
    """A codec whose frames are blocks of 10 samples, as they are."""

    sample_rate = 1000
    channels = 1
    dim = hop = 10
    keeps_level = padding_invariant = traceable = True

    def frames(self, samples):
        return -(-samples // self.hop)

    def encode(self, audio, lengths):
        return jnp.pad(audio[..., 0], ((0, 0), (0, -audio.shape[1] % 10))).reshape(len(audio), -1, 10)

    def decode(self, latent, samples):
        return latent.reshape(len(latent), -1, 1)[:, :samples]

    def filler(self, frames, kind, key):
        return jnp.zeros((frames, 10)) if kind == "zero" else 0.1 * jax.random.normal(key, (frames, 10))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class EarlyOrLate:
    """Tells whether the first or the second half of 50 frames has more energy; reads latents, or audio."""

    gain: jax.Array
    reads: str = dataclasses.field(default="latent", metadata={"static": True})

    def __call__(self, clip, valid):
        energy = jnp.square(clip).sum(1) * valid
        early = jnp.arange(len(energy)) < 25 * (1 if self.reads == "latent" else 10)
        return self.gain * jnp.stack([(energy * early).sum(), (energy * ~early).sum()])


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class LouderHalf:
    """A mask network: the loudest elements, if the louder half is the one that was asked for."""

    gain: jax.Array

    def __call__(self, latent, hidden, target, valid):
        early, late = EarlyOrLate(self.gain)(latent, valid)
        return jnp.abs(latent), jnp.where(target == 0, early - late, late - early)


def explainer_that(reads: str, seconds: float = 0.5) -> Explainer:
    model = Model(Blocks(), EarlyOrLate(jnp.float32(5), reads), jnp.zeros(10), LouderHalf(jnp.float32(5)))
    return Explainer(model, ("early", "late"), seconds)


@pytest.fixture
def clips(rng) -> list[np.ndarray]:
    """Noise, and a loud stretch in the quieter half of it: early, late, and early in a short clip."""
    clips = [0.05 * rng.normal(size=n).astype(np.float32) for n in (500, 500, 400)]
    for clip, start in zip(clips, (100, 350, 120), strict=True):
        clip[:250] *= 1 if start > 250 else 0.3
        clip[250:] *= 0.3 if start > 250 else 1
        clip[start : start + 80] *= 30
    return clips


@pytest.mark.parametrize("reads", ["latent", "audio"])
@pytest.mark.parametrize("ranking", ["weighted", "matched-mask", "adversarial-mask", "amortised"])
def test_they_are_explained(clips, reads, ranking):
    explainer = explainer_that(reads)
    explanations = explainer.explain_clips(clips, None, Settings(ranking=ranking, keep=0.3))
    assert [e.prediction for e in explanations] == ["early", "late", "early"]
    for e, clip, start in zip(explanations, clips, (10, 35, 12), strict=True):
        assert e.audio.shape == clip.shape
        np.testing.assert_allclose(e.reconstruction, e.gain * clip, atol=1e-4)
        assert (e.sufficient, e.necessary, e.sufficient_shifted, e.necessary_shifted) == (True,) * 4
        assert e.sound_alone == (ranking == "matched-mask")  # neither toy tells its hidden features
        assert e.verdict.kind == ("attack" if ranking == "adversarial-mask" else "holds")
        assert np.abs(e.attribution).sum(1)[start : start + 8].sum() > 0.9 * np.abs(e.attribution).sum()
        assert ranking == "amortised" or e.completeness_gap < 0.01  # beside it a single gradient is shown


@pytest.mark.parametrize("reads", ["latent", "audio"])
def test_nothing_is_kept_for_a_target_that_a_network_finds_absent(clips, reads):
    explainer, settings = explainer_that(reads), Settings(ranking="amortised")
    found = explainer.explain_clips(clips, "late", settings)
    assert [e.target_absent for e in found] == [True, False, True]
    for e in found:
        assert e.mask.any() != e.target_absent
        assert (e.verdict.kind == "absent") == e.target_absent
    assert not found[0].audio.any()
    np.testing.assert_allclose(found[0].residual, found[0].reconstruction, atol=1e-4)
    controlled = explainer.explain_clips(clips[:1], settings=settings, control=True)[0]
    assert (controlled.control_target, controlled.control_probability) == ("late", None)
    assert controlled.control_heard is False
    [again] = explainer.resynthesize(0.9, clips[:1], found[:1])
    assert not again.mask.any()


def test_a_model_without_a_network_says_so(clips):
    explainer = explainer_that("latent")
    bare = Explainer(explainer.model._replace(mask_network=None), explainer.labels, 0.5)
    with pytest.raises(AudexError, match="no network for the ranking amortised; train one with audex train-explainer"):
        bare.explain_clips(clips, settings=Settings(ranking="amortised"))


def test_batches_jobs_files_and_report_take_them(clips, tmp_path):
    explainer, settings = explainer_that("latent"), Settings(ranking="weighted", steps=4)
    streamed = dict(explain_batches(explainer, enumerate(clips), batch=1, ranking="weighted", steps=4))
    assert [streamed[n].prediction for n in range(3)] == ["early", "late", "early"]
    paths = [tmp_path / "in" / f"{number}.wav" for number in range(3)]
    paths[0].parent.mkdir()
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, 1000)

    manifest, job = read_manifest(str(tmp_path / "in")), Job(settings, batch=1)
    store = open_store(tmp_path / "job", run_of(explainer, manifest, job), manifest, {})
    assert run_job(explainer, manifest, store, job).clips_done == 3
    table = pq.read_table(store.place.address(store.part(0))).to_pylist()
    assert [row["prediction"] for row in table] == ["early", "late", "early"]
    assert {row["verdict"] for row in table} == {"holds"}
    assert {"metric_level", "metric_sparseness"} < set(table[0])

    (tmp_path / "out").mkdir()
    found = list(explain_files(explainer, paths, tmp_path / "out", None, settings, "toy", levels=(0.1,)))
    assert [result.error for result in found] == [None] * 3
    record = json.loads((tmp_path / "out" / "1.json").read_text())
    assert (record["prediction"], record["sufficient"], len(record["levels"])) == ("late", True, 2)
    assert (record["control_target"], record["verdict"]["kind"]) == ("early", "anything")  # its early noise alone is
    assert f"{found[1].path}: 'late'" in found[1].sentence
    assert write_report(tmp_path / "out", tmp_path / "report.html").clips == 3
    assert write_report(tmp_path / "job", tmp_path / "job.html").clips == 3
