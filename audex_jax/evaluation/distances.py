"""How an explanation sounds against the codec's reconstruction of the whole clip: distances for one pair of sounds."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Bool, Float

WINDOW, HOP = 1024, 256  # samples of the log-spectral distance
FLOOR_DB = -80.0  # below the reference's largest power bin nothing is compared
TINY = 1e-20
Length = int | Array | None  # samples that count, the rest is padding; None for all


def si_sdr(sound: Float[Array, " n"], reference: Float[Array, " n"], length: Length = None) -> Float[Array, ""]:
    """Scale-invariant signal-to-distortion ratio in dB; higher is nearer.

        a = <y, x> / <x, x>;  10 log10(|a x|^2 / |y - a x|^2),  both with their means taken out

    Blind to level; of silence there is none, and the figure is at the floor. Source: Le Roux et al., arXiv 1811.02508.

    Args:
        sound, reference: what is compared.
        length: samples that count, the rest is padding; None for all.

    >>> import jax.numpy as jnp
    >>> tone = jnp.sin(jnp.arange(800.0))
    >>> bool(si_sdr(0.5 * tone, tone) > 80), bool(si_sdr(jnp.cos(jnp.arange(800.0)), tone) < -20)
    (True, True)
    """
    own = _own(sound, length)
    sound, reference = (jnp.where(own, x - _mean(x, own), 0) for x in (sound, reference))
    target = (sound @ reference) / (reference @ reference + TINY) * reference
    noise = sound - target
    return 10 * jnp.log10((target @ target + TINY) / (noise @ noise + TINY))


def log_spectral_distance(
    sound: Float[Array, " n"], reference: Float[Array, " n"], length: Length = None
) -> Float[Array, ""]:
    """Mean over frames of the root mean square difference of power spectra in dB; 0 is the same.

    Hann windows of `WINDOW` samples every `HOP`, those that lie inside the sound; bins are lifted to `FLOOR_DB` below
    the reference's largest one. Arguments as of `si_sdr`.

    >>> import jax.numpy as jnp
    >>> noise = jnp.sin(jnp.arange(4000.0) ** 2)
    >>> round(float(log_spectral_distance(10 * noise, noise)), 3)  # 20 dB in every bin
    20.0
    """
    length = len(sound) if length is None else length
    own = _own(sound, length)
    sound, reference = (jnp.pad(jnp.where(own, x, 0), (0, max(0, WINDOW - len(x)))) for x in (sound, reference))
    start = jnp.arange(0, len(sound) - WINDOW + 1, HOP)
    inside = start + WINDOW <= jnp.maximum(length, WINDOW)
    window = jnp.hanning(WINDOW + 1)[:-1]
    frames = start[:, None] + jnp.arange(WINDOW)
    powers = [jnp.square(jnp.abs(jnp.fft.rfft(x[frames] * window))) for x in (sound, reference)]
    floor = jnp.maximum((powers[1] * inside[:, None]).max() * 10 ** (FLOOR_DB / 10), TINY)
    one, other = (10 * jnp.log10(p + floor) for p in powers)
    return _mean(jnp.sqrt(jnp.square(one - other).mean(1)), inside)


def level_difference(
    sound: Float[Array, " n"], reference: Float[Array, " n"], length: Length = None
) -> Float[Array, ""]:
    """Level of a sound against a reference in dB; arguments as of `si_sdr`."""
    powers = [_mean(jnp.square(x), _own(x, length)) + TINY for x in (sound, reference)]
    return 10 * jnp.log10(powers[0] / powers[1])


def clipped(sound: Float[Array, " n"], length: Length = None) -> Float[Array, ""]:
    """Share of samples that a file of 16 bits cannot hold: beyond full scale."""
    return _mean(jnp.abs(sound) > 1, _own(sound, length))


@jax.jit
@jax.vmap
def distances(sound: Float[Array, " n"], reference: Float[Array, " n"], length: Array) -> dict[str, Array]:
    """All distances of b sounds `[b, n]` from their references `[b, n]`, over the first `length` `[b]` samples."""
    return {
        "SI-SDR, dB": si_sdr(sound, reference, length),
        "LSD, dB": log_spectral_distance(sound, reference, length),
        "level, dB": level_difference(sound, reference, length),
        "clipped": clipped(sound, length),
    }


def _own(sound: Float[Array, " n"], length: Length) -> Bool[Array, " n"]:
    return jnp.arange(len(sound)) < (len(sound) if length is None else length)


def _mean(values: Array, own: Bool[Array, " n"]) -> Array:
    return jnp.where(own, values, 0).sum() / own.sum()
