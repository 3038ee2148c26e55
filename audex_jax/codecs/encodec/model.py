"""EnCodec as a whole: audio to latent, latent to codes and back, latent to audio.

`Encodec.encode` and `decode` are those of `core.protocols.Codec`, for zero-padded batches of clips. `encoder`,
`quantizer` and `decoder` are the networks alone, as published. `segments` takes whole recordings through any EnCodec,
with segments, too.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.codecs import NOISE_RMS, check_filler
from audex_jax.codecs.encodec.codes import decode, encode
from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.codecs.encodec.quantizer import ResidualVectorQuantizer
from audex_jax.codecs.encodec.seanet import Decoder, Encoder
from audex_jax.codecs.encodec.segments import reconstruct
from audex_jax.core.clips import cut_or_padded, whole_frames
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count
from audex_jax.core.types import Array, Audio, ClipLatent, Codes, Float, Int, Latent
from audex_jax.io.codes import CodedClip


class Encodec(nnx.Module):
    """Encoder, residual vector quantiser and decoder of one EnCodec model; a `core.protocols.Codec`.

    Pure and stateless: pass the module to `jax.jit`, `jax.grad` or `jax.vmap` as an argument like any pytree.

    Without random numbers (`rngs=None`) all weights are zeros, for those who bring their own.

    Attributes:
        config: shape of the model.
        bandwidth: kilobits per second of the latents that `encode` returns; None for continuous ones. See `at`.

    Examples:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from audex_jax.codecs.encodec.config import TINY
        >>> codec = Encodec(TINY, rngs=nnx.Rngs(0))
        >>> latent = codec.encode(jnp.zeros((1, 95, 1)), jnp.array([95]))
        >>> latent.shape, codec.decode(latent, 95).shape
        ((1, 10, 6), (1, 95, 1))
    """

    config_class = EncodecConfig
    traceable = True

    def __init__(self, config: EncodecConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.bandwidth: float | None = None
        self.encoder = Encoder(config, rngs=rngs)
        self.quantizer = ResidualVectorQuantizer(config, rngs=rngs)
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

    @property
    def keeps_level(self) -> bool:
        return not self.config.normalize

    @property
    def padding_invariant(self) -> bool:
        return self.config.causal and self._takes_padded_clips

    @property
    def _takes_padded_clips(self) -> bool:
        return self.config.norm == "none" and self.config.segment_seconds is None

    def at(self, bandwidth: float | None) -> "Encodec":
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
        """Latent `[b, t, d]` of zero-padded clips `[b, n, c]` of `lengths` samples; t is `frames(n)`.

        Each clip is divided by its loudness where the model asks for that. The quantiser of `at` passes gradients
        straight through.

        Raises:
            AudexError: the model encodes segment by segment, or normalises over time, so that padding changes clips.
        """
        if not self._takes_padded_clips:
            raise AudexError(
                f"{self.config.name} normalises over the whole length of a segment, so that clips cannot be padded to "
                "one length. Use another codec for classifiers and explanations, such as encodec-24khz; "
                "`audex reconstruct`, `audex encode` and `audex decode` work with this one"
            )
        scaled = audio / self.loudness(audio, lengths)
        if self.padding_invariant:  # else the last, begun frame would depend on the padding: it reflects what is there
            scaled = whole_frames(scaled, self.hop)
        latent = self.encoder(scaled)
        if self.bandwidth is None:
            return latent
        quantised = jax.lax.stop_gradient(self.quantize(latent, self.bandwidth))
        return quantised + (latent - jax.lax.stop_gradient(latent))

    def decode(self, latent: Latent, samples: int) -> Audio:
        """Audio `[b, samples, c]` of latents, at the level of the decoder; zeros where they end before."""
        return cut_or_padded(self.decoder(latent), samples)

    def filler(self, frames: int, kind: str, key: Array) -> ClipLatent:
        """The latent `[frames, d]` of nothing: `zero`, or `noise`, that of white noise.

        Raises:
            AudexError: another kind.
        """
        check_filler(kind)
        if kind == "zero":
            return jnp.zeros((frames, self.dim))
        noise = jax.random.normal(key, (1, frames * self.hop, self.channels))
        return self.encoder(NOISE_RMS * noise if self.keeps_level else noise)[0]

    def loudness(self, audio: Audio, lengths: Int[Array, " b"] | None = None) -> Float[Array, "b 1 1"]:
        """What clips are divided by before the encoder, and multiplied by after the decoder.

        The root mean square of the channels' mean, plus 1e-8 (`encodec/model.py`, `_encode_frame`); ones where the
        model takes audio as it is.

        Args:
            audio: clips or segments, `[b, n, c]`.
            lengths: samples over which the mean is taken, `[b]`; n unless given.
        """
        if self.keeps_level:
            return jnp.ones((audio.shape[0], 1, 1), audio.dtype)
        energy = jnp.square(audio.mean(2, keepdims=True)).sum(1, keepdims=True)
        count = jnp.asarray(audio.shape[1] if lengths is None else lengths).reshape(-1, 1, 1)
        return jnp.sqrt(energy / jnp.maximum(count, 1).astype(audio.dtype)) + 1e-8

    def codes(self, latent: Latent, bandwidth: float) -> Codes:
        """Codes `[b, t, q]` of a continuous latent at `bandwidth` kilobits per second.

        Raises:
            AudexError: the model has no such bandwidth.
        """
        return self.quantizer.encode(latent, self.config.codebooks_for(bandwidth))

    def dequantize(self, codes: Codes) -> Latent:
        """Latent `[b, t, d]` that codes stand for: the sum of their codebook entries."""
        return self.quantizer.decode(codes)

    def quantize(self, latent: Latent, bandwidth: float) -> Latent:
        """The latent as the decoder would receive it at `bandwidth` kilobits per second."""
        return self.dequantize(self.codes(latent, bandwidth))

    def encode_codes(self, audio: Float[Array, "n c"], bandwidth: float) -> CodedClip:
        """Codes of one recording of any length at `bandwidth` kilobits per second.

        Raises:
            AudexError: the model has no such bandwidth, the audio is empty or has another number of channels.

        >>> from audex_jax.codecs.encodec.config import TINY
        >>> codec = Encodec(TINY, rngs=nnx.Rngs(0))
        >>> clip = codec.encode_codes(jnp.ones((95, 1)), bandwidth=0.8)
        >>> clip.codes.shape, codec.decode_codes(clip).shape
        ((10, 2), (95, 1))
        """
        return encode(self, audio, bandwidth)

    def decode_codes(self, clip: CodedClip) -> np.ndarray:
        """Audio `[n, c]` of codes.

        Raises:
            CodesError: the codes are not of this codec.
        """
        return decode(self, clip)

    def reconstruct(self, audio: Audio) -> Audio:
        """What the codec keeps of recordings of any length, `[b, n, c] -> [b, n, c]`, at the bandwidth of `at`.

        Raises:
            AudexError: empty audio, or a wrong number of channels.
        """
        return reconstruct(self, audio, self.bandwidth)
