"""Convolutions without padding of their own, `[b, n, c] -> [b, m, o]`, multiplied out in the form that is fastest.

XLA's primitive is the general form; on a CPU its gradients run three times as fast as those of the same products
written with `@`. Where each device is a core, and what a clip becomes stays in its cache, large filters of 2 or 3 taps
take a third fewer products by minimal filtering (Winograd 1980; arXiv 1509.09308, section 4.1): F(m, r) makes m outputs
of r taps from m + r - 1 products instead of m r. With four products, F(3, 2) and F(2, 3), frames d and taps g are added
up to

    d0 - d2      d1 + d2                      d2 - d1                      d3 - d1
    g0           (sum of even + odd taps)/2   (sum of even - odd taps)/2   last tap

and what these multiply to, p q r s, to the outputs `p + q + r, q - r, q + r + s` of two taps, `p + q + r, q - r + s` of
three. Every factor is 1 or 1/2, so that results differ from the primitive's by rounding only: 1e-6 of the largest.
"""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Float
from audex_jax.devices.mapping import each_core_is_a_device

PRODUCTS = 4  # of minimal filtering, for each group of outputs
DEEP = 64  # channels from which products are so much dearer than sums that it pays
LONG = 600  # frames of all clips from which it does: kernels are added up in every call
LARGE = 1 << 24  # multiplications a tap from which it does: the sums take passes of their own


def primitive(x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], stride: int, pad: int) -> Float[Array, "b m o"]:
    """XLA's convolution of `x` with `pad` zeros on either side."""
    labels = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,), [(pad, pad)], dimension_numbers=labels)


def minimal(x: Float[Array, "b n c"], kernel: Float[Array, "k c o"]) -> Float[Array, "b m o"]:
    """The same at stride 1, without zeros and for 2 or 3 taps, by minimal filtering."""
    taps, _, outputs = kernel.shape
    step = PRODUCTS + 1 - taps  # outputs of a group
    frames = x.shape[1] + 1 - taps
    groups = -(-frames // step)
    x = jnp.pad(x, ((0, 0), (0, groups * step - frames), (0, 0)))
    a, b, c, d = (x[:, at : at + (groups - 1) * step + 1 : step] for at in range(PRODUCTS))
    even, odd = kernel[::2].sum(0) / 2, kernel[1::2].sum(0) / 2
    sums = jnp.stack([a - c, b + c, c - b, d - b])
    kernels = jnp.stack([kernel[0], even + odd, even - odd, kernel[-1]])
    p, q, r, s = jnp.einsum("pbmc,pco->pbmo", sums, kernels)
    y = [p + q + r, q - r, q + r + s] if taps == 2 else [p + q + r, q - r + s]
    return jnp.stack(y, 2).reshape(len(x), -1, outputs)[:, :frames]


def _filtered(x: Float[Array, "b n c"], kernel: Float[Array, "k c o"], stride: int, pad: int) -> Float[Array, "b m o"]:
    """Convolution of `x` with `pad` zeros on either side.

    Its gradient is that of the primitive, but for one detail: at stride 1 the kernel is turned round in memory, where
    JAX only relabels its axes. Within a loop XLA:CPU runs a convolution so labelled some twenty times slower.
    """
    taps, inputs, outputs = kernel.shape
    frames = len(x) * (x.shape[1] + 2 * pad)
    large = inputs >= DEEP and frames >= LONG and frames * inputs * outputs >= LARGE
    if stride == 1 and taps in (2, 3) and large and each_core_is_a_device():
        return minimal(jnp.pad(x, ((0, 0), (pad, pad), (0, 0))), kernel)
    return primitive(x, kernel, stride, pad)


filtered = jax.custom_vjp(_filtered, nondiff_argnums=(2, 3))


def _forward(x: Array, kernel: Array, stride: int, pad: int) -> tuple[Array, tuple[Array, Array]]:
    return _filtered(x, kernel, stride, pad), (x, kernel)


def _backward(stride: int, pad: int, saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    x, kernel = saved
    _, plain = jax.vjp(lambda x, kernel: primitive(x, kernel, stride, pad), x, kernel)
    for_x, for_kernel = plain(slope)  # XLA drops what is not used
    if stride == 1:
        for_x = _filtered(slope, kernel[::-1].transpose(0, 2, 1), 1, len(kernel) - 1 - pad)
    return for_x, for_kernel


filtered.defvjp(_forward, _backward)
