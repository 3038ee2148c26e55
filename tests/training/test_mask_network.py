"""A mask network learns what a classifier listens to, says what is absent, and resumes where it was killed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.codecs.mdct import MDCT
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.mask_network import config_for
from audex_jax.explain.model import Model
from audex_jax.training.mask_network import train_mask_network
from audex_jax.training.recipes import MaskRecipe

RATE, SAMPLES = 1000, 400
PITCHES = (60, 230)  # Hz; of the two labels
LOUD = 420  # Hz; a tone in all clips that the classifier does not listen to


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class LowOrHigh:
    """Which of two bands has more energy, of the latent or of the audio?"""

    gain: jax.Array
    reads: str = dataclasses.field(default="latent", metadata={"static": True})

    def __call__(self, clip, valid):
        energy = (jnp.square(clip) * valid[:, None]).sum(0)
        if self.reads == "audio":
            energy = jnp.square(jnp.abs(jnp.fft.rfft(clip[:, 0] * valid))) / len(clip)
        pitch = jnp.arange(len(energy)) * RATE / 2 / len(energy)
        low, high = ((energy * (jnp.abs(pitch - own) < 60)).sum() for own in PITCHES)
        return self.gain * jnp.stack([jnp.log(low + 1e-4), jnp.log(high + 1e-4)])


def tones(count: int, seed: int = 0) -> np.ndarray:
    """Clips `[count, n, 1]`: a soft tone of each label in turn, beside a loud one."""
    rng, t = np.random.default_rng(seed), np.arange(SAMPLES) / RATE
    phase = rng.uniform(0, 6, (3, count, 1))
    own = np.array(PITCHES)[np.arange(count) % 2, None]
    clips = 0.1 * np.sin(2 * np.pi * own * t + phase[0]) + 0.4 * np.sin(2 * np.pi * LOUD * t + phase[1])
    return (clips + 0.003 * rng.normal(size=clips.shape)).astype(np.float32)[..., None]


def model_that(reads: str) -> Model:
    codec = MDCT.from_name(str(RATE))
    return Model(codec, LowOrHigh(jnp.float32(2), reads), jnp.zeros(codec.dim))


@pytest.fixture(scope="module")
def model():
    return model_that("latent")


LENGTHS = np.full(16, SAMPLES, np.int32)
RECIPE = MaskRecipe(steps=6, batch=4)


@pytest.mark.slow
@pytest.mark.parametrize("reads", ["latent", "audio"])
def test_it_learns_what_the_classifier_listens_to(reads, tmp_path):
    model = model_that(reads)
    recipe = MaskRecipe(steps=80, batch=8, learning_rate=3e-3, margin=1.0)
    network = train_mask_network(model, 2, tones(16), LENGTHS, recipe, tmp_path)
    explainer = Explainer(model._replace(mask_network=network), ("low", "high"), SAMPLES / RATE)
    clips = list(tones(6, seed=1)[..., 0])
    kept, left = {}, {}
    for ranking in ("amortised", "magnitude"):
        found = explainer.explain_clips(clips, settings=Settings(ranking=ranking, keep=0.05))
        assert [e.prediction for e in found] == ["low", "high"] * 3
        kept[ranking] = [e.sufficient for e in found]
        left[ranking] = np.mean([e.residual_probability for e in explainer.resynthesize(0.2, clips, found)])
    assert all(kept["amortised"])
    assert not all(kept["magnitude"])  # the loudest tone is not the answer
    assert left["amortised"] < left["magnitude"] - 0.15
    wrong = explainer.explain_clips(clips, "high", Settings(ranking="amortised", keep=0.05))
    assert [e.target_absent for e in wrong] == [True, False] * 3


@pytest.mark.slow
def test_a_training_that_is_resumed_equals_one_that_is_not(model, tmp_path):
    whole = train_mask_network(model, 2, tones(16), LENGTHS, RECIPE, tmp_path / "whole", checkpoint_every=3)

    class Killed(Exception):
        pass

    def kill(step, parts):
        raise Killed

    with pytest.raises(Killed):
        train_mask_network(model, 2, tones(16), LENGTHS, RECIPE, tmp_path / "cut", kill, checkpoint_every=3)
    resumed = train_mask_network(model, 2, tones(16), LENGTHS, RECIPE, tmp_path / "cut", checkpoint_every=3)
    states = [jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(one))) for one in (whole, resumed)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    other = dataclasses.replace(RECIPE, margin=0.3)
    with pytest.raises(AudexError, match="recipe"):
        train_mask_network(model, 2, tones(16), LENGTHS, other, tmp_path / "cut")


@pytest.mark.slow
def test_hidden_states_are_compared_where_the_classifier_tells_them(model, tiny_explainer, tmp_path):
    def parts_of(own, classes, folder):
        seen = []
        recipe = MaskRecipe(steps=1, batch=2)
        train_mask_network(own, classes, tones(4), LENGTHS[:4], recipe, folder, lambda _, parts: seen.append(parts))
        return seen[0]

    told, untold = parts_of(tiny_explainer.model, 3, tmp_path / "told"), parts_of(model, 2, tmp_path / "untold")
    assert told.keys() - untold.keys() == {"evidence"}
    assert np.isfinite([*told.values(), *untold.values()]).all()


def test_a_network_is_made_for_its_model(model, tiny_explainer):
    assert (config_for(model, 2).dim, config_for(model, 2).hidden) == (model.codec.dim, 0)
    config = config_for(tiny_explainer.model, 3)
    assert (config.dim, config.classes, config.hidden) == (6, 3, 8)
