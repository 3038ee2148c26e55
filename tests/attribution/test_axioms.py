"""What every attribution method of the registry promises, on functions small enough to know the answer."""

import importlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.core.registry import METHODS
from audex_jax.core.settings import Settings

CLIP = jnp.array([[1.0, 2.0], [-3.0, 0.5], [0.3, 0.1], [0.7, -0.4]])
WEIGHT = jnp.array([[2.0, -1.0], [0.5, 4.0], [1.0, 1.0], [-2.0, 3.0]])
every_method = pytest.mark.parametrize("name", METHODS.names())


def curved(z):
    """Does not read the last frame."""
    return jnp.tanh(z[0] * z[1]).sum() + (z[:3] ** 3).sum()


def linear(z):
    return (WEIGHT * z).sum()


def explained(name, f, frames=4, **settings):
    """The clip of 4 frames, padded to `frames`; the baselines are not 0."""
    pad = lambda z, value: jnp.pad(z, ((0, frames - 4), (0, 0)), constant_values=value)  # noqa: E731
    valid = jnp.arange(frames) < 4
    pool = jnp.stack([pad(0 * CLIP + 0.5, 5.0), pad(0.5 * CLIP + 0.2, 5.0)])[: 1 if f is linear else 2]
    own = lambda z: f(jnp.where(valid[:, None], z, 0)[:4])  # noqa: E731
    elements = jnp.arange(2 * frames).reshape(frames, 2), 2 * frames
    how = {"valid": valid, "key": jax.random.key(5), "settings": Settings(method=name, **settings)}
    how["units"] = lambda: elements
    return jax.jit(lambda z: METHODS[name](own, z, pool[0], baselines=lambda: pool, **how))(pad(CLIP, 9.0))


@every_method
def test_padding_and_chunks_change_nothing_and_what_is_not_read_gets_nothing(name):
    steps = Settings.steps if name == "integrated-gradients" else "auto"  # as many as the default for all others
    plain, padded = explained(name, curved, chunk=4), explained(name, curved, frames=11, chunk=100, steps=steps)
    for one, other in zip(plain, padded, strict=True):
        np.testing.assert_allclose(one, other[:4] if other.ndim else other, rtol=1e-4, atol=1e-4)
    assert not padded.attribution[4:].any()
    if name == "masked-regression":  # an estimate
        assert jnp.abs(plain.attribution[3]).max() < 0.1 * jnp.abs(plain.attribution).max()
    else:
        assert plain.attribution[3].any() == (name in ("magnitude", "random"))
    np.testing.assert_allclose(plain.gap, plain.attribution.sum() - (plain.value - plain.baseline_value), atol=1e-4)
    assert jnp.isnan(plain.overlap)


@pytest.mark.parametrize("name", ["integrated-gradients", "expected-gradients", "deeplift", "shapley-sampling"])
def test_completeness(name):
    result = explained(name, curved, steps=200)
    assert abs(result.gap) < 1e-3 * abs(result.value - result.baseline_value)


@every_method
def test_a_linear_function_by_hand(name):
    exact = np.asarray(WEIGHT * (CLIP - 0.5))
    expected = {"saliency": np.abs(WEIGHT), "smooth-grad": WEIGHT, "magnitude": np.abs(CLIP - 0.5)}
    shared = dict.fromkeys(("occlusion", "shapley-sampling"), exact.mean(1, keepdims=True).repeat(2, 1))  # by frames
    found = explained(name, linear).attribution
    if name != "random":
        close = 0.05 if name == "masked-regression" else 1e-5  # its penalty shrinks what it finds
        np.testing.assert_allclose(found, (expected | shared).get(name, exact), rtol=close, atol=close)


@every_method
def test_defaults_are_those_of_the_settings(name):
    module = importlib.import_module(METHODS[name].__module__)
    function = getattr(module, name.replace("-", "_"), None) or module.random_attribution
    own = {key: p.default for key, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
    wanted = {"rule": Settings.rule, "chunk": Settings.chunk, "budget": Settings.budget}
    wanted |= dict.fromkeys(("steps", "samples", "permutations"), Settings.steps)
    assert {key: value for key, value in own.items() if key in wanted}.items() <= wanted.items()
