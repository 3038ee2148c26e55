"""Resampling that passes gradients: between a codec's sample rate and a classifier's."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.signal

from audex_jax.core.protocols import Count
from audex_jax.core.types import Array, Float

HALF = 10  # zero crossings of the filter on each side, as `scipy.signal.resample_poly` takes
BETA = 5.0  # of the Kaiser window


@functools.cache
def _kernel(up: int, down: int) -> tuple[np.ndarray, int]:
    """Weights of the input samples for `up` output samples that stand on `down` input samples, `[w, up]`.

    Returns:
        The weights, and how many samples the first of the w lies before the first of the `down`.
    """
    rate = max(up, down)
    taps = up * scipy.signal.firwin(2 * HALF * rate + 1, 1 / rate, window=("kaiser", BETA))  # type: ignore[arg-type]
    reach = -(-HALF * rate // up)  # input samples on each side
    place = np.arange(-reach, down + reach)[:, None] * up  # on the grid of both rates
    offset = np.arange(up)[None] * down - place + HALF * rate
    inside = (offset >= 0) & (offset < len(taps))
    return np.where(inside, taps[np.clip(offset, 0, len(taps) - 1)], 0).astype(np.float32), reach


def resampled_length(samples: Count, source: int, target: int) -> Count:
    """Samples of a clip after `resample`, of a number or an array of numbers."""
    common = math.gcd(source, target)
    return -(-samples * (target // common) // (source // common))


def resample(audio: Float[Array, " n"], source: int, target: int) -> Float[Array, " m"]:
    """One channel at another sample rate, `[n] -> [m]`; what `scipy.signal.resample_poly` gives.

    Args:
        audio: `[n]`.
        source, target: sample rates in Hz.
    """
    if source == target:
        return audio
    common = math.gcd(source, target)
    up, down = target // common, source // common
    kernel, reach = _kernel(up, down)
    blocks = -(-audio.shape[0] // down)
    padded = jnp.pad(audio, (reach, blocks * down - audio.shape[0] + reach))
    found = jax.lax.conv_general_dilated(
        padded[None, :, None],
        jnp.asarray(kernel)[:, None],
        (down,),
        "VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
        precision="highest",
    )
    return found.reshape(-1)[: resampled_length(audio.shape[0], source, target)]
