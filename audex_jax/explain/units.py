"""Units in time and frequency: what is taken out together where single elements would be too many to try."""

import jax
import jax.numpy as jnp

from audex_jax.core.protocols import Codec
from audex_jax.core.types import Array, Float, Int

SECONDS = 0.1  # of a unit
BANDS = 8
TRIED = 8  # frames that a dimension is decoded for


def sound_units(codec: Codec, frames: int) -> tuple[Int[Array, "t d"], int]:
    """Unit of each latent element, segments of about `SECONDS` in `BANDS` groups of dimensions, and their number.

    Dimensions are sorted by the spectral centroid of what each alone is decoded to, and cut into equal groups.

    Args:
        codec: of the latents.
        frames: of the latent.
    """
    length = max(1, round(SECONDS * codec.sample_rate / codec.hop))
    segment = jnp.arange(frames) // length
    order = jnp.argsort(spectral_centroids(codec), stable=True)
    place = jnp.zeros(codec.dim, jnp.int32).at[order].set(jnp.arange(codec.dim, dtype=jnp.int32))
    band = place * BANDS // codec.dim
    return segment[:, None] * BANDS + band, BANDS * -(-frames // length)


def spectral_centroids(codec: Codec) -> Float[Array, " d"]:
    """Mean frequency, weighted by energy, of what each dimension alone adds to the decoded sound, in Hz."""
    samples = TRIED * codec.hop

    def sound(direction: Float[Array, " d"]) -> Float[Array, " n"]:
        return codec.decode(jnp.broadcast_to(direction, (1, TRIED, codec.dim)), samples)[0].mean(-1)

    silence = sound(jnp.zeros(codec.dim))
    found = jax.lax.map(lambda direction: sound(direction) - silence, jnp.eye(codec.dim), batch_size=BANDS)
    spectrum = jnp.fft.rfft(found * jnp.hanning(samples))
    energy = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    frequencies = jnp.fft.rfftfreq(samples, 1 / codec.sample_rate)
    return (energy * frequencies).sum(1) / jnp.maximum(energy.sum(1), 1e-12)
