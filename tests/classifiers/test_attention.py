"""Attention: the textbook's value, and gradients that stay exact where a score dominates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.classifiers.attention import attend


def textbook(projected, valid, heads):
    frames, width = len(projected), projected.shape[1] // 3
    q, k, v = projected.reshape(frames, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = jnp.where(valid, q @ k.mT / jnp.sqrt(width // heads), -jnp.inf)
    return (jax.nn.softmax(scores, axis=-1) @ v).swapaxes(0, 1).reshape(frames, width)


def both(projected, slope, valid, attention):
    mixed, pull_back = jax.vjp(lambda p: attention(p, valid, 4), projected)
    return mixed, pull_back(slope)[0]


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_value_and_gradient_are_the_textbooks(rng, scale):
    projected, slope = scale * rng.normal(size=(11, 48)), rng.normal(size=(11, 16))
    valid = np.arange(11) < 9
    with jax.enable_x64(True):
        exact = both(jnp.asarray(projected), jnp.asarray(slope), valid, textbook)
        own = both(jnp.asarray(projected), jnp.asarray(slope), valid, attend)
        for a, b in zip(own, exact, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    rounded = both(jnp.float32(projected), jnp.float32(slope), valid, attend)
    for a, b in zip(rounded, exact, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max())


@pytest.mark.parametrize("each_core_is_a_device", [False, True])
def test_a_long_clip_in_blocks_is_the_whole(rng, monkeypatch, each_core_is_a_device):
    projected, slope, valid = rng.normal(size=(11, 48)), rng.normal(size=(11, 16)), np.arange(11) < 9
    with jax.enable_x64(True):
        whole = both(jnp.asarray(projected), jnp.asarray(slope), valid, textbook)
        monkeypatch.setattr("audex_jax.devices.mapping.each_core_is_a_device", lambda: each_core_is_a_device)
        monkeypatch.setattr("audex_jax.classifiers.attention.LONG", 4)
        monkeypatch.setattr("audex_jax.classifiers.attention.BLOCK", 3)  # 11 frames leave the last block to be filled
        for a, b in zip(both(jnp.asarray(projected), jnp.asarray(slope), valid, attend), whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
