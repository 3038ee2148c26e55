"""DAC as a whole: audio to latent, latent to codes and back, latent to audio; a `core.protocols.Codec`.

`encoder`, `quantizer` and `decoder` are the networks alone, as published. Like the references' own front ends
(`dac/model/dac.py`, `preprocess`; `transformers.DacFeatureExtractor`) the codec appends zeros to whole frames: without
them the encoder leaves the end of a clip out (of 15,877 samples at a hop of 320 it makes 49 frames, which decode to
15,672 samples) and makes no frame at all of a few samples.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.codecs import NOISE_RMS, check_filler
from audex_jax.codecs.dac.config import DacConfig
from audex_jax.codecs.dac.layers import Decoder, Encoder
from audex_jax.codecs.dac.quantizer import Quantised, Quantizer
from audex_jax.core.clips import cut_or_padded, whole_frames
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count
from audex_jax.core.types import Array, Audio, ClipLatent, Codes, Float, Int, Latent
from audex_jax.io.codes import CodedClip, require_fit


class Dac(nnx.Module):
    """Encoder, quantiser and decoder of one DAC.

    What is explained (`config.latent`) is by default the codebooks' chosen entries side by side, 72 to 256 numbers a
    frame: all that the decoder was trained to hear, a linear map away from its input of 1024, and each number belongs
    to one codebook.

    Without random numbers (`rngs=None`) all weights are zeros, for those who bring their own.

    Attributes:
        config: shape of the model.
        bandwidth: kilobits per second of the latents that `encode` returns; None for all codebooks. See `at`.

    >>> from audex_jax.codecs.dac.config import TINY
    >>> codec = Dac(TINY, rngs=nnx.Rngs(0))
    >>> latent = codec.encode(jnp.zeros((1, 95, 1)), jnp.array([95]))
    >>> latent.shape, codec.decode(latent, 95).shape
    ((1, 10, 6), (1, 95, 1))
    """

    config_class = DacConfig
    channels, keeps_level, padding_invariant, traceable = 1, True, False, True

    def __init__(self, config: DacConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.bandwidth: float | None = None
        self.encoder = Encoder(config, rngs=rngs)
        self.quantizer = Quantizer(config, rngs=rngs)
        self.decoder = Decoder(config, rngs=rngs)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        return self.config.hop

    @property
    def stages(self) -> int:
        """Codebooks in use."""
        return self.config.codebooks_for(self.bandwidth)

    @property
    def dim(self) -> int:
        return self.stages * self.config.codebook_dim if self.config.latent == "projected" else self.config.dim

    @property
    def bandwidths(self) -> tuple[float, ...]:
        return self.config.bandwidths

    def at(self, bandwidth: float | None) -> "Dac":
        """The same codec with the codebooks that fit into `bandwidth`; it shares the weights.

        Raises:
            AudexError: the model has no such bandwidth, or explains its continuous latent.
        """
        self.config.codebooks_for(bandwidth)
        if bandwidth is not None and self.config.latent == "continuous":
            raise AudexError(f"{self.config.name} has a continuous latent, which has no bandwidth; leave it out")
        codec = nnx.merge(*nnx.split(self))
        codec.bandwidth = bandwidth
        return codec

    def explaining(self, latent: str) -> "Dac":
        """The same codec with another latent, see `DacConfig`; it shares the weights.

        Raises:
            AudexError: no such latent.
        """
        codec = nnx.merge(*nnx.split(self))
        codec.config = dataclasses.replace(self.config, latent=latent)
        return codec

    def frames(self, samples: Count) -> Count:
        """Latent frames of a clip of `samples` samples, which is filled up to whole frames."""
        return -(-samples // self.hop)

    def encode(self, audio: Audio, lengths: Int[Array, " b"]) -> Latent:
        """Latent `[b, t, d]` of zero-padded clips `[b, n, 1]`; t is `frames(n)`. The quantiser passes gradients on."""
        continuous = self.continuous(audio)
        if self.config.latent == "continuous":
            return continuous
        _, entries = self.quantizer.encode(continuous, self.stages)
        if self.config.latent == "projected":
            return entries.reshape(*entries.shape[:2], -1)
        return self.quantizer.sum(entries)

    def decode(self, latent: Latent, samples: int) -> Audio:
        """Audio `[b, samples, 1]` of latents; zeros where the decoder's audio ends before.

        That is a few samples after each clip's whole frames, where a stride is odd: 8 at 16 and 24 kHz.
        """
        if self.config.latent == "projected":
            latent = self.quantizer.sum(latent.reshape(*latent.shape[:2], -1, self.config.codebook_dim))
        return cut_or_padded(self.decoder(latent), samples)

    def filler(self, frames: int, kind: str, key: Array) -> ClipLatent:
        """The latent `[frames, d]` of nothing: `zero`, or `noise`, that of white noise.

        Raises:
            AudexError: another kind.
        """
        check_filler(kind)
        if kind == "zero":
            return jnp.zeros((frames, self.dim))
        noise = NOISE_RMS * jax.random.normal(key, (1, frames * self.hop, 1))
        return self.encode(noise, jnp.array([noise.shape[1]]))[0]

    def continuous(self, audio: Audio) -> Quantised:
        """What the encoder makes of clips `[b, n, 1]`, filled up to whole frames: `[b, frames(n), d]`."""
        return self.encoder(whole_frames(audio, self.hop))

    def encode_codes(self, audio: Float[Array, "n c"], bandwidth: float) -> CodedClip:
        """Codes of one recording, encoded as a whole, at `bandwidth` kilobits per second.

        Raises:
            AudexError: the model has no such bandwidth, or the audio is empty or not mono.

        >>> from audex_jax.codecs.dac.config import TINY
        >>> codec = Dac(TINY, rngs=nnx.Rngs(0))
        >>> clip = codec.encode_codes(jnp.ones((95, 1)), bandwidth=0.8)
        >>> clip.codes.shape, codec.decode_codes(clip).shape
        ((10, 2), (95, 1))
        """
        stages, (samples, channels) = self.config.codebooks_for(bandwidth), audio.shape
        if samples == 0 or channels != 1:
            raise AudexError(f"audio of {samples} samples and {channels} channels; DAC takes at least one, in mono")
        codes = np.asarray(_codes(self, audio[None], stages))[0].astype(np.uint16)
        return CodedClip(codes, np.array([0, len(codes)]), np.ones(1, np.float32), samples, self.config.name)

    def decode_codes(self, clip: CodedClip) -> np.ndarray:
        """Audio `[n, 1]` of codes.

        Raises:
            CodesError: the codes are not of this codec.
        """
        config = self.config
        bounds = [0, self.frames(clip.samples)]
        require_fit(clip, config.name, config.codebooks, config.codebook_size, bounds)
        audio = np.asarray(_decoded(self, jnp.asarray(clip.codes[None], jnp.int32)))[0, : clip.samples]
        return np.pad(audio, ((0, clip.samples - len(audio)), (0, 0)))


def _codes_of(codec: Dac, audio: Audio, stages: int) -> Codes:
    return codec.quantizer.encode(codec.continuous(audio), stages)[0]


def _audio_of(codec: Dac, codes: Codes) -> Audio:
    return codec.decoder(codec.quantizer.sum(codec.quantizer.entries(codes)))


_codes, _decoded = jax.jit(_codes_of, static_argnums=2), jax.jit(_audio_of)
