"""MDCT: a codec without training or loss, the modified discrete cosine transform with a sine window.

Princen and Bradley 1986, scaled as by Malvar 1990. With hop h, a frame sees two blocks of h samples, `x[0..2h)`:

    z[k] = sqrt(2 / h) sum_j sin(pi / 2h (j + 1/2)) cos(pi / h (j + 1/2 + h/2) (k + 1/2)) x[j],    k = 0..h-1

The squares of the window's two halves add up to 1. So the transform is orthonormal, and its inverse is its transpose.
"""

import dataclasses
import functools
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.codecs import NOISE_RMS, check_filler
from audex_jax.core.clips import cut_or_padded
from audex_jax.core.configs import Between, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count
from audex_jax.core.types import Array, Audio, ClipLatent, Float, Int, Latent

MOST_HOP = 4096  # samples; the cosines are a matrix of 2 hop^2


@dataclasses.dataclass(frozen=True)
class MDCTConfig:
    """Shape of the transform; `hop` is the number of samples from frame to frame, 0 for about 20 ms."""

    name: str
    sample_rate: Annotated[int, Between(1, 50 * MOST_HOP)]
    channels: Annotated[int, Between(1, 16)] = 1
    hop: Annotated[int, Between(0, MOST_HOP)] = 0

    def __post_init__(self):
        check(self)
        object.__setattr__(self, "hop", self.hop or max(1, round(self.sample_rate / 50)))

    from_dict = classmethod(config_from)


@functools.cache
def basis(hop: int) -> Float[np.ndarray, "two h k"]:
    """The windowed cosines, for the earlier and the later of a frame's two blocks."""
    samples, coefficients = np.arange(2 * hop)[:, None] + 0.5, np.arange(hop) + 0.5
    cosines = np.cos(np.pi / hop * (samples + hop / 2) * coefficients)
    window = np.sin(np.pi / (2 * hop) * samples)
    return (np.sqrt(2 / hop) * window * cosines).reshape(2, hop, hop).astype(np.float32)


class MDCT(nnx.Module):
    """The transform as a `core.protocols.Codec`; of several channels the coefficients stand side by side.

    >>> codec = MDCT.from_name("16000")
    >>> latent = codec.encode(jnp.ones((1, 500, 1)), jnp.array([500]))
    >>> latent.shape, codec.decode(latent, 500).shape
    ((1, 3, 320), (1, 500, 1))
    """

    config_class, keeps_level, padding_invariant, traceable = MDCTConfig, True, True, True

    def __init__(self, config: MDCTConfig, *, rngs: nnx.Rngs | None = None):
        self.config = config  # there are no weights to draw
        self.sample_rate, self.channels, self.hop = config.sample_rate, config.channels, config.hop
        self.dim = config.channels * config.hop

    @classmethod
    def from_name(cls, name: str) -> "MDCT":
        """The mono codec of a sample rate in Hz, as in `--codec mdct:16000`; an `AudexError` if it is none."""
        if not name.isdecimal() or len(name) > 9:
            raise AudexError(f"mdct:{name}: give a sample rate in Hz, as in mdct:16000")
        return cls(MDCTConfig(f"mdct-{int(name)}", int(name)))

    def frames(self, samples: Count) -> Count:
        """Frames of a clip of `samples` samples: one more than it has blocks."""
        return -(-samples // self.hop) + 1

    def encode(self, audio: Audio, lengths: Int[Array, " b"]) -> Latent:
        """Coefficients `[b, t, c * hop]` of zero-padded clips `[b, n, c]`."""
        padded = jnp.pad(audio, ((0, 0), (self.hop, -audio.shape[1] % self.hop + self.hop), (0, 0)))
        blocks = padded.reshape(len(audio), -1, self.hop, self.channels)
        pairs = jnp.stack([blocks[:, :-1], blocks[:, 1:]], 2)
        latent = jnp.einsum("btshc,shk->btck", pairs, basis(self.hop), precision="highest")
        return latent.reshape(len(audio), -1, self.dim)

    def decode(self, latent: Latent, samples: int) -> Audio:
        """Audio `[b, samples, c]`; zeros where the latents end before."""
        latent = latent.reshape(*latent.shape[:2], self.channels, self.hop)
        pairs = jnp.einsum("btck,shk->btshc", latent, basis(self.hop), precision="highest")
        audio = (pairs[:, 1:, 0] + pairs[:, :-1, 1]).reshape(len(latent), -1, self.channels)
        return cut_or_padded(audio, samples)

    def filler(self, frames: int, kind: str, key: Array) -> ClipLatent:
        """The latent `[frames, d]` of nothing: `zero`, or `noise`; white noise is white in any orthonormal basis."""
        check_filler(kind)
        return NOISE_RMS * jax.random.normal(key, (frames, self.dim)) * (kind == "noise")


FAMILY = MDCT
