"""How an explanation sounds against the codec's reconstruction of the whole clip: distances for one pair of sounds."""

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Float

WINDOW, HOP = 1024, 256  # samples of the log-spectral distance
FLOOR_DB = -80.0  # below the reference's largest power bin nothing is compared
TINY = 1e-20


def si_sdr(sound: Float[Array, " n"], reference: Float[Array, " n"]) -> Float[Array, ""]:
    """Scale-invariant signal-to-distortion ratio in dB; higher is nearer.

        a = <y, x> / <x, x>;  10 log10(|a x|^2 / |y - a x|^2),  both with their means taken out

    Blind to level; of silence there is none, and the figure is at the floor. Source: Le Roux et al., arXiv 1811.02508.

    >>> import jax.numpy as jnp
    >>> tone = jnp.sin(jnp.arange(800.0))
    >>> bool(si_sdr(0.5 * tone, tone) > 80), bool(si_sdr(jnp.cos(jnp.arange(800.0)), tone) < -20)
    (True, True)
    """
    sound, reference = sound - sound.mean(), reference - reference.mean()
    target = (sound @ reference) / (reference @ reference + TINY) * reference
    noise = sound - target
    return 10 * jnp.log10((target @ target + TINY) / (noise @ noise + TINY))


def log_spectral_distance(sound: Float[Array, " n"], reference: Float[Array, " n"]) -> Float[Array, ""]:
    """Mean over frames of the root mean square difference of power spectra in dB; 0 is the same.

    Hann windows of `WINDOW` samples every `HOP`; bins are lifted to `FLOOR_DB` below the reference's largest one.

    >>> import jax.numpy as jnp
    >>> noise = jnp.sin(jnp.arange(4000.0) ** 2)
    >>> round(float(log_spectral_distance(10 * noise, noise)), 3)  # 20 dB in every bin
    20.0
    """
    sound, reference = (jnp.pad(x, (0, max(0, WINDOW - len(x)))) for x in (sound, reference))
    at = jnp.arange(0, len(sound) - WINDOW + 1, HOP)[:, None] + jnp.arange(WINDOW)
    window = jnp.hanning(WINDOW + 1)[:-1]
    powers = [jnp.square(jnp.abs(jnp.fft.rfft(x[at] * window))) for x in (sound, reference)]
    floor = jnp.maximum(powers[1].max() * 10 ** (FLOOR_DB / 10), TINY)
    one, other = (10 * jnp.log10(p + floor) for p in powers)
    return jnp.sqrt(jnp.square(one - other).mean(1)).mean()


def level_difference(sound: Float[Array, " n"], reference: Float[Array, " n"]) -> Float[Array, ""]:
    """Level of a sound against a reference in dB."""
    powers = [jnp.square(x).mean() + TINY for x in (sound, reference)]
    return 10 * jnp.log10(powers[0] / powers[1])


def clipped(sound: Float[Array, " n"]) -> Float[Array, ""]:
    """Share of samples that a file of 16 bits cannot hold: beyond full scale."""
    return (jnp.abs(sound) > 1).mean()


DISTANCES = jax.jit(
    jax.vmap(
        lambda sound, reference: {
            "SI-SDR, dB": si_sdr(sound, reference),
            "LSD, dB": log_spectral_distance(sound, reference),
            "level, dB": level_difference(sound, reference),
            "clipped": clipped(sound),
        }
    )
)
