import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.attribution import contrast, logit, logits_of, predicted_logit, probability

WEIGHT = jnp.array([[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]])  # two dimensions, three labels
Z = jnp.array([[1.0, 1.0], [0.0, 1.0]])


def classify(z):
    return (z @ WEIGHT).sum(0)  # (1, 3, 2.5)


def test_each_target_by_hand():
    assert logit(classify, 2)(Z) == 2.5
    assert predicted_logit(classify, Z)(Z) == 3
    assert contrast(classify, 1, 0)(Z) == 2
    assert logits_of(classify, jnp.array([2, 0]))(Z).tolist() == [2.5, 1]
    assert probability(classify, 0)(Z) == pytest.approx(np.exp(1) / np.exp([1, 3, 2.5]).sum())


def test_predicted_class_stays_fixed_along_the_path():
    assert predicted_logit(classify, Z)(jnp.array([[1.0, -1.0]])) == -3  # label 1, though 0 wins there


@pytest.mark.parametrize("label", [3, -1, jnp.array(7)])
def test_unknown_label_is_an_error_where_it_is_known(label):
    with pytest.raises(ValueError, match="numbered 0 to 2"):
        logit(classify, label)(Z)


@pytest.mark.parametrize("label", [3, -1])
def test_unknown_label_is_nan_under_jit(label):
    assert jnp.isnan(jax.jit(lambda label: logit(classify, label)(Z))(label))
    assert jax.jit(lambda label: logit(classify, label)(Z))(1) == 3
