"""Convolutions in every form against XLA's primitive, and minimal filtering against the sum that it stands for."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.encodec.filtering import filtered, minimal, primitive

pytestmark = pytest.mark.usefixtures("strict_dtypes")


@pytest.mark.parametrize("taps", [2, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 11, 12])
def test_minimal_filtering_is_a_sum_over_taps(taps, frames, normal):
    x, kernel = normal(2, frames + taps - 1, 5), normal(taps, 5, 3)
    expected = sum(np.asarray(x)[:, tap : tap + frames] @ np.asarray(kernel)[tap] for tap in range(taps))
    np.testing.assert_allclose(minimal(x, kernel), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("taps", [2, 3])
def test_it_takes_two_thirds_of_the_products(taps, normal):
    x, kernel = normal(1, 600 + taps - 1, 5), normal(taps, 5, 8)
    program = jax.make_jaxpr(minimal)(x, kernel)
    (product,) = [equation for equation in program.eqns if equation.primitive.name == "dot_general"]
    assert product.outvars[0].aval.size * 5 == 2 / 3 * (600 * taps * 5 * 8)


@pytest.mark.parametrize(
    ("clips", "frames", "inputs", "outputs", "taps", "chosen"),
    [
        (1, 3000, 256, 128, 2, True),  # layers of the published encoder
        (1, 600, 256, 128, 3, True),
        (16, 75, 2048, 512, 2, True),
        (4, 75, 2048, 512, 2, False),  # too few frames for so large a kernel
        (1, 24_000, 32, 16, 3, False),  # too shallow
        (1, 2000, 128, 32, 2, False),  # of the bundled one: too small
        (16, 75, 512, 128, 7, False),
    ],
)
def test_large_ones_are_filtered_minimally(clips, frames, inputs, outputs, taps, chosen, monkeypatch):
    monkeypatch.setattr("audex_jax.codecs.encodec.filtering.each_core_is_a_device", lambda: True)
    shapes = (clips, frames + taps - 1, inputs), (taps, inputs, outputs)
    program = str(
        jax.make_jaxpr(lambda x, k: filtered(x, k, 1, 0))(*map(jax.ShapeDtypeStruct, shapes, ["float32"] * 2))
    )
    assert ("dot_general" in program, "conv_general_dilated" in program) == (chosen, not chosen)


@pytest.mark.parametrize("cores", [True, False])
@pytest.mark.parametrize(("taps", "stride", "pad"), [(1, 1, 0), (2, 1, 1), (3, 1, 0), (5, 1, 3), (5, 2, 0), (7, 3, 2)])
def test_filters_and_their_gradients_are_those_of_the_primitive(taps, stride, pad, cores, normal, monkeypatch):
    for bound in ("DEEP", "LONG", "LARGE"):
        monkeypatch.setattr(f"audex_jax.codecs.encodec.filtering.{bound}", 1)
    monkeypatch.setattr("audex_jax.codecs.encodec.filtering.each_core_is_a_device", lambda: cores)

    def slopes(convolve):
        return jax.jit(jax.grad(lambda x, kernel: jnp.sin(convolve(x, kernel)).sum(), (0, 1)))(x, kernel)

    x, kernel = normal(2, 12, 3), normal(taps, 3, 4)
    own, plain = (lambda x, kernel, f=f: f(x, kernel, stride, pad) for f in (filtered, primitive))
    np.testing.assert_allclose(own(x, kernel), plain(x, kernel), rtol=1e-5, atol=1e-5)
    for ours, expected in zip(slopes(own), slopes(plain), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="about XLA:CPU")
def test_a_gradient_in_a_loop_keeps_the_axes_that_xla_is_fast_for(normal):
    def descend(x, kernel):
        slope = jax.grad(lambda x: jnp.square(filtered(x, kernel, 1, 0)).sum())
        return jax.lax.scan(lambda x, _: (x - 0.1 * slope(x), None), x, None, length=3)[0]

    program = jax.jit(descend).lower(normal(2, 50, 4), normal(3, 4, 5)).compile().as_text()
    labels = re.findall(r"dim_labels=(\S+),", program)
    assert len(labels) == 2
    assert set(labels) == {"b0f_0io->b0f"}
