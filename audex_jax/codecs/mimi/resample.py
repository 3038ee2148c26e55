"""From transformer frames to latent frames and back (`moshi/modules/resample.py`); no biases."""

import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.encodec.conv import correlate, in_rows
from audex_jax.codecs.mimi.config import STRIDE
from audex_jax.core.initializers import init_param
from audex_jax.core.types import Array, Float, Latent


class Downsample(nnx.Module):
    """Causal convolution with kernel = 2 x stride, `[b, m, w] -> [b, ceil(m / stride), w]`; kernel `[k, in, out]`.

    Ahead of the first frame and behind the last one stand copies of these.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs | None):
        self.kernel = nnx.Param(init_param(nnx.initializers.orthogonal(), rngs, (2 * STRIDE, width, width)))

    def __call__(self, x: Float[Array, "b m w"]) -> Latent:
        width = x.shape[2]
        x = jnp.pad(x, ((0, 0), (STRIDE, -x.shape[1] % STRIDE), (0, 0)), mode="edge")
        kernel = self.kernel[...].reshape(2, STRIDE * width, width)  # of rows, see `encodec.conv`
        return correlate(in_rows(x, width, STRIDE), kernel, (0, 0))


class Upsample(nnx.Module):
    """Transposed convolution of every channel by itself with kernel = 2 x stride, `[b, t, w] -> [b, t * stride, w]`.

    Kernel `[k, w]`. A frame writes into its own outputs and, with the second half of the kernel, into those of the
    frame after it; what the last frame writes beyond the end is cut off.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs | None):
        self.kernel = nnx.Param(init_param(nnx.initializers.normal(0.5**0.5), rngs, (2 * STRIDE, width)))

    def __call__(self, x: Latent) -> Float[Array, "b m w"]:
        before = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        own, late = jnp.split(self.kernel[...], 2)
        y = x[:, :, None] * own + before[:, :, None] * late
        return in_rows(y.reshape(*x.shape[:2], -1), x.shape[2], 1)
