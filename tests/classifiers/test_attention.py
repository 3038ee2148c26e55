"""Attention: the textbook's value and derivatives, whole or in blocks of queries, and memory that grows with t."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.classifiers._attention import BLOCK, attend
from audex_jax.core.lanes import LANES

HEADS, WIDTH = 4, 16


def textbook(projected, valid):
    """In NumPy's float64, one head and one query at a time."""
    queries, keys, values = (
        np.asarray(projected, np.float64).reshape(len(projected), 3, HEADS, -1).transpose(1, 2, 0, 3)
    )
    mixed = np.zeros(values.shape)
    for head in range(HEADS):
        for t, query in enumerate(queries[head]):
            weights = np.exp(keys[head] @ query / np.sqrt(len(query))) * valid
            mixed[head, t] = weights / weights.sum() @ values[head]
    return mixed.swapaxes(0, 1).reshape(len(projected), -1)


@pytest.mark.parametrize("frames", [11, BLOCK, BLOCK + 1, 2 * BLOCK])
@pytest.mark.parametrize(("scale", "row"), [(1.0, 1), (4.0, 1), (1.0, 8), (4.0, 64)])
def test_value_is_the_textbooks(frames, scale, row, normal, monkeypatch):
    monkeypatch.setitem(LANES, jax.default_backend(), row)
    projected, valid = scale * normal(frames, 3 * WIDTH), np.arange(frames) < frames - 2
    ours = jax.jit(attend, static_argnums=2)(projected, jnp.asarray(valid), HEADS)
    np.testing.assert_allclose(ours, textbook(projected, valid), atol=1e-5 * scale)


def test_blocks_and_groups_of_heads_change_no_derivative(normal, monkeypatch):
    projected, direction, valid = normal(11, 3 * WIDTH), normal(11, 3 * WIDTH), jnp.arange(11) < 9

    def energy(p):
        return jnp.square(attend(p, valid, HEADS)).sum()

    def derivatives():
        return jax.jit(lambda p, d: jax.jvp(jax.grad(energy), (p,), (d,)))(projected, direction)

    whole = derivatives()
    for block, row in ((3, 1), (3, WIDTH), (BLOCK, 2 * WIDTH // HEADS)):  # 11 frames leave the last block to be filled
        monkeypatch.setattr("audex_jax.classifiers._attention.BLOCK", block)
        monkeypatch.setitem(LANES, jax.default_backend(), row)
        for ours, expected in zip(derivatives(), whole, strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


def test_memory_of_the_gradient_grows_with_t():
    def temporaries(frames):
        gradient = jax.jit(jax.grad(lambda p: jnp.square(attend(p, jnp.ones(frames, bool), HEADS)).sum()))
        program = gradient.lower(jax.ShapeDtypeStruct((frames, 3 * WIDTH), jnp.float32)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert temporaries(16 * BLOCK) < 2.5 * temporaries(8 * BLOCK)
