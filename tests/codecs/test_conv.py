"""Padding arithmetic and convolutions against plain NumPy, one output sample at a time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from audex_jax.codecs.encodec.config import TINY
from audex_jax.codecs.encodec.conv import (
    Conv1d,
    ConvTranspose1d,
    conv_padding,
    convolve,
    correlate,
    elu,
    in_rows,
    pad_time,
    transpose_trim,
)
from audex_jax.core.initializers import group_norm
from audex_jax.core.lanes import LANES

pytestmark = pytest.mark.usefixtures("strict_dtypes")

KERNELS = [(7, 1), (3, 1), (1, 1), (4, 2), (8, 4), (10, 5), (16, 8)]


@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@pytest.mark.parametrize("causal", [True, False])
def test_padding_gives_as_many_frames_as_whole_or_begun_strides(kernel, stride, causal):
    for length in range(1, 50):
        left, right = conv_padding(length, kernel, stride, causal)
        frames, rest = divmod(length + left + right - kernel, stride)
        assert (frames + 1, rest) == (-(-length // stride), 0)
        extra = -length % stride
        if causal:
            assert (left, right) == (kernel - stride, extra)
        else:
            assert left - (right - extra) in (0, 1)  # centred; an odd sample goes to the left


@pytest.mark.parametrize(
    ("causal", "trims"), [(True, [(0, 2), (0, 4), (0, 5), (0, 8)]), (False, [(1, 1), (2, 2), (3, 2), (4, 4)])]
)
def test_transposed_convolutions_lose_one_stride_of_samples(causal, trims):
    assert [transpose_trim(stride, 2 * stride, causal) for stride in (2, 4, 5, 8)] == trims


@pytest.mark.parametrize(
    ("samples", "left", "right", "padded"),
    [  # worked examples; 0 where the reference puts a zero
        ("abc", 6, 0, "....cbabc"),
        ("abc", 3, 3, ".cbabc.cb"),
        ("a", 6, 0, "......a"),
        ("abc", 8, 5, "......cbabc....."),
        ("abcdefghij", 4, 10, "edcbabcdefghij.jihgfedcb"),
        ("abcdefg", 6, 0, "gfedcbabcdefg"),
        ("ab", 0, 0, "ab"),
    ],
)
def test_reflection_of_short_input_inserts_zeros(samples, left, right, padded):
    x = jnp.array([ord(s) - ord("a") + 1.0 for s in samples])[None, :, None]
    expected = [0 if s == "." else ord(s) - ord("a") + 1 for s in padded]
    np.testing.assert_array_equal(pad_time(x, left, right, "reflect")[0, :, 0], expected)


def test_constant_padding_is_zeros():
    x = jnp.ones((1, 2, 1))
    np.testing.assert_array_equal(pad_time(x, 3, 1, "constant")[0, :, 0], [0, 0, 0, 1, 1, 0])


def plain_conv(x, kernel, bias, stride):
    """The definition: y[t, o] = sum over taps j and inputs i of x[t * stride + j, i] * kernel[j, i, o]."""
    taps = len(kernel)
    frames = (x.shape[1] - taps) // stride + 1
    windows = np.stack([np.asarray(x)[:, t * stride : t * stride + taps] for t in range(frames)], 1).astype(np.float64)
    return np.einsum("btji,jio->bto", windows, kernel) + bias


def plain_conv_transpose(x, kernel, bias, stride):
    """The definition: every frame adds x[t, i] * kernel[j, i, o] to sample t * stride + j."""
    batch, frames, _ = x.shape
    y = np.zeros((batch, (frames - 1) * stride + len(kernel), kernel.shape[2]))
    for t in range(frames):
        y[:, t * stride : t * stride + len(kernel)] += np.einsum("bi,jio->bjo", np.asarray(x[:, t], np.float64), kernel)
    return y + bias


@jax.jit
def apply(layer, x):
    return layer(x)


def filled(layer, normal):
    """The layer with random weights everywhere, biases and norms included."""
    graph, state = nnx.split(layer)
    random = jax.tree.map(lambda a: normal(*a.shape), nnx.to_pure_dict(state))
    nnx.replace_by_pure_dict(state, random)
    return nnx.merge(graph, state)


@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@pytest.mark.parametrize(("causal", "pad_mode"), [(True, "reflect"), (False, "reflect"), (False, "constant")])
def test_conv_is_the_definition_on_padded_input(kernel, stride, causal, pad_mode, normal):
    layer = Conv1d(3, 5, kernel, stride, causal=causal, pad_mode=pad_mode, norm=False, rngs=nnx.Rngs(0))
    layer = filled(layer, normal)
    for length in (1, 2, stride + 1, 21):
        x = normal(2, length, 3)
        padded = np.asarray(pad_time(x, *conv_padding(length, kernel, stride, causal), pad_mode))
        expected = plain_conv(padded, np.asarray(layer.kernel[...]), np.asarray(layer.bias[...]), stride)
        assert expected.shape == (2, -(-length // stride), 5)
        np.testing.assert_allclose(apply(layer, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 4, 5, 8])
@pytest.mark.parametrize("causal", [True, False])
def test_transposed_conv_is_the_definition_trimmed(stride, causal, normal):
    layer = filled(ConvTranspose1d(3, 2, stride, causal=causal, norm=False, rngs=nnx.Rngs(0)), normal)
    left, right = transpose_trim(stride, 2 * stride, causal)
    for frames in (1, 2, 7):
        x = normal(2, frames, 3)
        full = plain_conv_transpose(x, np.asarray(layer.kernel[...]), np.asarray(layer.bias[...]), stride)
        expected = full[:, left : full.shape[1] - right]
        assert expected.shape == (2, frames * stride, 2)
        np.testing.assert_allclose(in_rows(apply(layer, x), 2, 1), expected, rtol=1e-4, atol=1e-5)


def test_transposed_conv_normalises_before_it_trims(normal):
    layer = filled(ConvTranspose1d(3, 2, 4, causal=False, norm=True, rngs=nnx.Rngs(0)), normal)
    x = normal(2, 5, 3)
    full = plain_conv_transpose(x, np.asarray(layer.kernel[...]), np.asarray(layer.bias[...]), 4)
    scale, shift = np.asarray(layer.norm.scale[...]), np.asarray(layer.norm.bias[...])
    normal = (full - full.mean((1, 2), keepdims=True)) / np.sqrt(full.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(in_rows(layer(x), 2, 1), (normal * scale + shift)[:, 2:-2], rtol=1e-4, atol=1e-5)


def test_group_norm_keeps_precision_far_from_zero(normal):
    x = normal(2, 50, 3) + 300
    exact = np.asarray(x, np.float64)
    exact = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(group_norm(3)(x), exact, atol=2e-4)


def test_elu_and_its_gradient():
    x = jnp.array([-100.0, -3.0, -1e-3, -0.0, 0.0, 1e-3, 3.0, 100.0])
    np.testing.assert_allclose(elu(x), np.where(x > 0, x, np.expm1(np.minimum(x, 0))), atol=1e-7)
    gradient = jax.vmap(jax.grad(lambda v: elu(v)))(x)
    np.testing.assert_allclose(gradient, np.where(x > 0, 1, np.exp(np.minimum(x, 0))), atol=1e-7)


@pytest.mark.parametrize(
    ("taps", "stride", "samples", "fold"), [(7, 1, 24, 8), (7, 1, 8, 4), (1, 1, 4, 4), (8, 4, 24, 8)]
)
@pytest.mark.parametrize(("causal", "mode"), [(True, "reflect"), (False, "reflect"), (False, "constant")])
def test_convolutions_are_the_same_in_rows_of_any_length(taps, stride, samples, fold, causal, mode, normal):
    x, kernel = normal(2, samples, 3), normal(taps, 3, 4)
    padded = pad_time(x, *conv_padding(samples, taps, stride, causal), mode)
    y = in_rows(convolve(in_rows(x, 3, fold), kernel, stride, causal, mode), 4, 1)
    np.testing.assert_allclose(y, plain_conv(padded, np.asarray(kernel), 0, stride), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("taps", "inputs", "outputs"), [(7, 1, 16), (7, 16, 1), (3, 16, 8), (2, 4, 4)])
@pytest.mark.parametrize(("samples", "causal"), [(8, True), (16, False), (24, True), (27, False)])
def test_derivatives_are_the_same_in_rows(taps, inputs, outputs, samples, causal, normal, monkeypatch):
    x, kernel = normal(2, samples, inputs), normal(taps, inputs, outputs)

    def both():
        def of(x, kernel):  # another function each time, so that it is traced again
            y, back = jax.vjp(lambda x, k: in_rows(convolve(x, k, 1, causal, "reflect"), outputs, 1), x, kernel)
            return y, *back(jnp.cos(y))

        return jax.jit(of)(x, kernel)

    in_long_rows = both()
    monkeypatch.setattr("audex_jax.codecs.encodec.conv.NARROW", 0)
    for ours, plain in zip(in_long_rows, both(), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("causal", [True, False])
def test_transposed_convolutions_are_the_same_in_rows(causal, normal):
    layer = filled(ConvTranspose1d(3, 2, 4, causal=causal, norm=False, rngs=nnx.Rngs(0)), normal)
    x = normal(2, 8, 3)
    for fold in (2, 4):
        ours, expected = (in_rows(layer(given), 2, 1) for given in (in_rows(x, 3, fold), x))
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [True, False])
def test_a_codec_is_the_same_with_many_lanes(causal, codec_of, normal, monkeypatch):
    codec = codec_of(dataclasses.replace(TINY, causal=causal, filters=4))
    x, z = normal(2, 400, 1), normal(2, 40, 6)
    both = lambda: (codec.encoder(x), codec.decoder(z))  # noqa: E731
    few = both()
    monkeypatch.setitem(LANES, jax.default_backend(), 32)
    for ours, expected in zip(both(), few, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("taps", "pad"), [(1, (0, 0)), (2, (1, 1)), (5, (3, 3)), (5, (2, 0))])
def test_all_derivatives_of_correlation_are_those_of_xlas_convolution(taps, pad, normal):
    x, kernel, directions = normal(2, 9, 3), normal(taps, 3, 4), (normal(2, 9, 3), normal(taps, 3, 4))

    def plain(x, kernel):
        labels = ("NWC", "WIO", "NWC")
        return jax.lax.conv_general_dilated(x, kernel, (1,), [pad], dimension_numbers=labels)

    @functools.partial(jax.jit, static_argnums=0)
    def derivatives(f, x, kernel):
        energy = lambda x, kernel: jnp.sin(f(x, kernel)).sum()  # noqa: E731
        gradient = jax.grad(energy, (0, 1))
        clips = jax.vmap(jax.grad(energy), (0, None))(x[:, None], kernel)
        loop = jax.lax.scan(lambda z, _: (z - 0.1 * gradient(z, kernel)[0], None), x, None, length=2)[0]
        return jax.jvp(gradient, (x, kernel), directions), jax.jvp(energy, (x, kernel), directions), clips, loop

    ours, expected = (derivatives(f, x, kernel) for f in (lambda x, k: correlate(x, k, pad), plain))
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
