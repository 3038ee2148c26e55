"""Mimi as a whole: audio to latent, latent to codes and back, latent to audio.

The latent is what the two quantisers round: the semantic projection beside the acoustic one, `[b, t, 2 x 256]`.

- Not the encoder's own frames: the decoder has never seen one. In training it received rounded projections, projected
  back. Unrounded ones are what these approximate, the closer the more codebooks are used.
- Not the sum of the two projections back, which is what the decoder reads, and is as wide. It is linear in this latent,
  so that attributions along a straight line add up to the same. But in it the semantic and the acoustic part are mixed,
  while here one can be masked without the other; here the distance is that by which codes are chosen; a latent at a
  bandwidth is this one, rounded; and zero is what the model itself takes for codebooks that are left out.

`encoder` to `downsample`, `quantizer`, and `upsample` to `decoder` are the networks alone, as published.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.codecs import NOISE_RMS, check_filler
from audex_jax.codecs.mimi.config import MimiConfig
from audex_jax.codecs.mimi.quantizer import SplitQuantizer
from audex_jax.codecs.mimi.resample import Downsample, Upsample
from audex_jax.codecs.mimi.seanet import Decoder, Encoder
from audex_jax.codecs.mimi.transformer import Transformer
from audex_jax.core.clips import cut_or_padded, whole_frames
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count
from audex_jax.core.types import Array, Audio, ClipLatent, Codes, Float, Int, Latent
from audex_jax.io.codes import CodedClip, require_fit


class Mimi(nnx.Module):
    """Encoder, split quantiser and decoder of one Mimi; a `core.protocols.Codec`.

    Pure and stateless: pass the module to `jax.jit`, `jax.grad` or `jax.vmap` as an argument like any pytree.

    Without random numbers (`rngs=None`) all weights are zeros, for those who bring their own.

    Attributes:
        config: shape of the model.
        bandwidth: kilobits per second of the latents that `encode` returns; None for continuous ones. See `at`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from audex_jax.codecs.mimi.config import TINY
    >>> codec = Mimi(TINY, rngs=nnx.Rngs(0))
    >>> latent = codec.encode(jnp.zeros((1, 95, 1)), jnp.array([95]))
    >>> latent.shape, codec.decode(latent, 95).shape
    ((1, 12, 6), (1, 95, 1))
    """

    config_class = MimiConfig
    keeps_level, padding_invariant, traceable = True, True, True

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.bandwidth: float | None = None
        self.encoder = Encoder(config, rngs=rngs)
        self.encoder_transformer = Transformer(config, rngs=rngs)
        self.downsample = Downsample(config.width, rngs=rngs)
        self.quantizer = SplitQuantizer(config, rngs=rngs)
        self.upsample = Upsample(config.width, rngs=rngs)
        self.decoder_transformer = Transformer(config, rngs=rngs)
        self.decoder = Decoder(config, rngs=rngs)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def channels(self) -> int:
        return self.config.channels

    @property
    def dim(self) -> int:
        return self.config.dim

    @property
    def hop(self) -> int:
        return self.config.hop

    @property
    def bandwidths(self) -> tuple[float, ...]:
        return self.config.bandwidths

    def at(self, bandwidth: float | None) -> "Mimi":
        """The same codec, of which `encode` returns latents quantised at `bandwidth`; it shares the weights.

        Raises:
            AudexError: the model has no such bandwidth.
        """
        if bandwidth is not None:
            self.config.codebooks_for(bandwidth)
        codec = nnx.merge(*nnx.split(self))
        codec.bandwidth = bandwidth
        return codec

    def frames(self, samples: Count) -> Count:
        """Latent frames of a clip of `samples` samples."""
        return self.config.frames(samples)

    def encode(self, audio: Audio, lengths: Int[Array, " b"]) -> Latent:
        """Latent `[b, t, d]` of zero-padded clips `[b, n, c]`; t is `frames(n)`.

        A last, begun frame is filled up with zeros, as `moshi` does (`transformers` lets every layer pad instead), so
        that it does not depend on what else is in the batch. The quantiser of `at` passes gradients straight through.
        """
        latent = self.project(whole_frames(audio, self.hop))
        if self.bandwidth is None:
            return latent
        quantised = jax.lax.stop_gradient(self.quantize(latent, self.bandwidth))
        return quantised + (latent - jax.lax.stop_gradient(latent))

    def decode(self, latent: Latent, samples: int) -> Audio:
        """Audio `[b, samples, c]` of latents; zeros where they end before."""
        x = self.decoder_transformer(self.upsample(self.quantizer.merge(latent)))
        return cut_or_padded(self.decoder(x), samples)

    def filler(self, frames: int, kind: str, key: Array) -> ClipLatent:
        """The latent `[frames, d]` of nothing: `zero`, as if there were no codebooks, or `noise`, that of white noise.

        Raises:
            AudexError: another kind.
        """
        check_filler(kind)
        if kind == "zero":
            return jnp.zeros((frames, self.dim))
        return self.project(NOISE_RMS * jax.random.normal(key, (1, frames * self.hop, self.channels)))[0]

    def frame(self, audio: Audio) -> Float[Array, "b t w"]:
        """The encoder's frames of audio of any length, ahead of the quantiser."""
        return self.downsample(self.encoder_transformer(self.encoder(audio)))

    def project(self, audio: Audio) -> Latent:
        """The latent of audio of any length, not rounded."""
        return self.quantizer.project(self.frame(audio))

    def codes(self, latent: Latent, bandwidth: float) -> Codes:
        """Codes `[b, t, q]` of a continuous latent at `bandwidth` kilobits per second, semantic ones first.

        Raises:
            AudexError: the model has no such bandwidth.
        """
        return self.quantizer.encode(latent, self.config.codebooks_for(bandwidth))

    def dequantize(self, codes: Codes) -> Latent:
        """Latent `[b, t, d]` that codes stand for: the sums of their codebook entries, semantic and acoustic."""
        return self.quantizer.decode(codes)

    def quantize(self, latent: Latent, bandwidth: float) -> Latent:
        """The latent as the decoder would receive it at `bandwidth` kilobits per second."""
        return self.dequantize(self.codes(latent, bandwidth))

    def encode_codes(self, audio: Float[Array, "n c"], bandwidth: float) -> CodedClip:
        """Codes of one recording of any length at `bandwidth` kilobits per second.

        Raises:
            AudexError: the model has no such bandwidth, the audio is empty or has another number of channels.

        >>> from audex_jax.codecs.mimi.config import TINY
        >>> codec = Mimi(TINY, rngs=nnx.Rngs(0))
        >>> clip = codec.encode_codes(jnp.ones((95, 1)), bandwidth=1.0)
        >>> clip.codes.shape, codec.decode_codes(clip).shape
        ((12, 2), (95, 1))
        """
        samples, channels = audio.shape
        if samples == 0:
            raise AudexError("the audio holds no samples; at least one is needed")
        if channels != self.channels:
            raise AudexError(f"the audio has {channels} channels, {self.config.name} takes {self.channels}")
        codes = _codes(self.at(None), audio[None], bandwidth)
        bounds, scales = np.array([0, codes.shape[1]]), np.ones(1, np.float32)
        return CodedClip(np.asarray(codes[0]).astype(np.uint16), bounds, scales, samples, self.config.name)

    def decode_codes(self, clip: CodedClip) -> np.ndarray:
        """Audio `[n, c]` of codes.

        Raises:
            CodesError: the codes are not of this codec.
        """
        config, bounds = self.config, [0, self.frames(clip.samples)]
        require_fit(clip, config.name, config.codebooks, config.codebook_size, bounds)
        return np.asarray(_play(self, jnp.asarray(clip.codes[None], jnp.int32), clip.samples))[0]


@functools.partial(jax.jit, static_argnums=2)
def _codes(codec: Mimi, audio: Audio, bandwidth: float) -> Codes:
    return codec.codes(codec.encode(audio, jnp.array([audio.shape[1]])), bandwidth)


@functools.partial(jax.jit, static_argnums=2)
def _play(codec: Mimi, codes: Codes, samples: int) -> Audio:
    return codec.decode(codec.dequantize(codes), samples)
