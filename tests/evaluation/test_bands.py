"""Octave bands: what is removed is gone, and a model that listens to one band is found out."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.mdct import MDCT
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array
from audex_jax.evaluation import bands
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model

RATE = 1000


class HearsOneBand(NamedTuple):
    """A classifier of an MDCT's latents: how loud are the coefficients of one band?"""

    weight: Array
    reads = "latent"

    def __call__(self, clip, valid):
        loudness = (jnp.abs(clip) * self.weight * valid[:, None]).sum()
        return jnp.stack([loudness, jnp.zeros(())])


def test_bands_part_the_spectrum(rng):
    sound = rng.normal(size=999)
    members = bands.bands_of(999, RATE)
    assert (members.sum(0) == 1).all()
    removed = bands.without_each_band(sound, RATE)
    np.testing.assert_allclose((sound - removed).sum(0), sound, atol=1e-4)
    for band, rest in zip(members, removed, strict=True):
        assert np.abs(np.fft.rfft(rest)[band]).max() < 1e-3
    time = np.arange(1000) / RATE
    assert bands.bands_of(1000, RATE)[:, 200].argmax() == bands.OCTAVES - 2  # 125 to 250 Hz
    tone = np.sin(2 * np.pi * 200 * time)
    kept = bands.kept_of_bands(0.5 * tone + np.sin(2 * np.pi * 300 * time), tone + 1e-3 * rng.normal(size=1000), RATE)
    assert kept[bands.OCTAVES - 2] == pytest.approx(0.5, abs=1e-2)


@pytest.mark.parametrize("heard", [3, 5])
def test_the_band_that_the_model_listens_to_is_kept(rng, heard):
    codec = MDCT.from_name(str(RATE))
    frequency = (np.arange(codec.dim) + 0.5) / codec.dim * RATE / 2
    inside = (frequency >= RATE / 2 / 2 ** (bands.OCTAVES - heard)) & (
        frequency < RATE / 2 / 2 ** (bands.OCTAVES - 1 - heard)
    )
    classifier = HearsOneBand(jnp.asarray(inside, jnp.float32))
    explainer = Explainer(Model(codec, classifier, jnp.zeros(codec.dim)), ("yes", "no"), 1.0)
    clips = [0.1 * rng.normal(size=1000).astype(np.float32) for _ in range(4)]
    falls = bands.falls_of_bands(explainer, clips)
    assert (falls.argmax(1) == heard).all()
    arms = {
        "weighted": Settings(ranking="weighted", steps=4, keep=0.1),
        "random": Settings(method="random", ranking="signed", keep=0.1),
    }
    rows = {row["order"]: row for row in bands.band_rows(explainer, clips, arms, batch=4)}
    assert list(rows) == [bands.ENERGY, "weighted", "random"]
    assert rows["weighted"]["hit"] == 1
    assert rows["random"]["hit"] < 1
    assert rows["weighted"]["spearman"] > rows["random"]["spearman"]


def test_nothing_is_told_of_bands_that_are_alike():
    found = bands.agreement(np.ones((2, 6)), np.ones((2, 6)))
    assert np.isnan(list(found.values())).all()
