"""Sanity checks and the whole check: answers that are known, and a model that has learnt nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from scipy.stats import spearmanr

from audex_jax.bundles import save_explainer
from audex_jax.cli import main
from audex_jax.core.settings import Settings
from audex_jax.evaluation import sanity


@pytest.fixture
def words(rng):
    return [np.pad(rng.normal(size=300), (100 * (i % 3), 400)).astype(np.float32) for i in range(6)]


def test_layers_are_shuffled_from_the_output_down(tiny_explainer):
    classifier = tiny_explainer.model.classifier
    stages = sanity.randomised(classifier, jax.random.key(0))
    assert [name for name, _ in stages] == ["intact", "project_out", "layers.0", "all weights"]
    for name, model in stages[1:]:
        kernel, own = (m.project_out.kernel[...] for m in (model, classifier))
        np.testing.assert_array_equal(np.sort(kernel, None), np.sort(own, None))
        assert (kernel != own).any()
        same = (model.project_in.kernel[...] == classifier.project_in.kernel[...]).all()
        assert bool(same) == (name != "all weights")


def test_the_cascade_starts_at_itself(tiny_explainer, words):
    stages = sanity.cascade(tiny_explainer, words[:3], settings=Settings(steps=4))
    assert stages[0].spearman == pytest.approx(1, abs=1e-5)
    assert stages[0].overlap == 1
    assert stages[-1].overlap < 0.9


def test_conclusions_in_both_directions():
    good, bad = (sanity.Stage("all weights", r, o, 0.5) for r, o in ((0.1, 0.3), (0.9, 0.8)))
    assert sanity.assess([good])[0]
    fine, text = sanity.assess([bad])
    assert not fine
    assert "80%" in text


def test_spearman_is_that_of_scipy_without_ties(normal):
    one, other = normal(10, 6), normal(10, 6)
    valid = jnp.arange(10) < 7
    expected = spearmanr(np.asarray(one[:7]).ravel(), np.asarray(other[:7]).ravel()).statistic
    assert float(sanity.spearman(one, other, valid)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_a_guessing_model_fails_the_check(tiny_explainer, tmp_path, capsys):
    save_explainer(tmp_path / "m", tiny_explainer, {})
    rng = np.random.default_rng(0)
    lines = ["file,label,split"]
    for i in range(6):
        label = tiny_explainer.labels[i % 3]
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "data" / label / f"{i}.wav", 0.1 * rng.normal(size=800), 1000)
        lines.append(f"{label}/{i}.wav,{label},test")
    (tmp_path / "data" / "splits.csv").write_text("\n".join(lines))
    given = ["check", str(tmp_path / "m"), str(tmp_path / "data"), "--quiet", "--json", str(tmp_path / "f.json")]
    assert main(given) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 12
    assert any(line.startswith("FAIL does the classifier hold") and "chance 0.333" in line for line in said)
    assert (tmp_path / "f.json").exists()
