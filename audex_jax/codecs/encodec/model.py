"""EnCodec as a whole: audio to latent, latent to codes and back, latent to audio.

The methods here treat one segment whose loudness is already unity. `segments` takes recordings of any length and
loudness: it cuts them, divides by `Encodec.loudness`, and joins what comes back.
"""

import jax.numpy as jnp
from flax import nnx

from audex_jax.codecs.encodec.config import EncodecConfig
from audex_jax.codecs.encodec.quantizer import ResidualVectorQuantizer
from audex_jax.codecs.encodec.seanet import Decoder, Encoder
from audex_jax.core.types import Array, Audio, Codes, Float, Latent


class Encodec(nnx.Module):
    """Encoder, residual vector quantiser and decoder of one EnCodec model.

    Pure and stateless: pass the module to `jax.jit`, `jax.grad` or `jax.vmap` as an argument like any pytree.

    Without random numbers (`rngs=None`) all weights are zeros, for those who bring their own.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from audex_jax.codecs.encodec.config import TINY
    >>> codec = Encodec(TINY, rngs=nnx.Rngs(0))
    >>> latent = codec.encode(jnp.zeros((1, 95, 1)))
    >>> latent.shape, codec.decode(latent).shape
    ((1, 10, 6), (1, 100, 1))
    """

    def __init__(self, config: EncodecConfig, *, rngs: nnx.Rngs | None):
        self.config = config
        self.encoder = Encoder(config, rngs=rngs)
        self.quantizer = ResidualVectorQuantizer(config, rngs=rngs)
        self.decoder = Decoder(config, rngs=rngs)

    def loudness(self, audio: Audio) -> Float[Array, "b 1 1"]:
        """What to divide a segment by before `encode`, and to multiply by after `decode`.

        The root mean square of the channels' mean, plus 1e-8 (`encodec/model.py`, `_encode_frame`); ones where the
        model takes audio as it is.

        Args:
            audio: one segment, `[b, n, c]`.
        """
        if not self.config.normalize:
            return jnp.ones((audio.shape[0], 1, 1), audio.dtype)
        mono = audio.mean(2, keepdims=True)
        return jnp.sqrt(jnp.square(mono).mean(1, keepdims=True)) + 1e-8

    def encode(self, audio: Audio) -> Latent:
        """Continuous latent `[b, ceil(n / hop), d]` of audio `[b, n, c]`, before the quantiser."""
        return self.encoder(audio)

    def codes(self, latent: Latent, bandwidth: float) -> Codes:
        """Codes `[b, t, q]` of a continuous latent at `bandwidth` kilobits per second.

        Raises:
            ValueError: the model has no such bandwidth.
        """
        return self.quantizer.encode(latent, self.config.codebooks_for(bandwidth))

    def dequantize(self, codes: Codes) -> Latent:
        """Latent `[b, t, d]` that codes stand for: the sum of their codebook entries."""
        return self.quantizer.decode(codes)

    def quantize(self, latent: Latent, bandwidth: float) -> Latent:
        """The latent as the decoder would receive it at `bandwidth` kilobits per second."""
        return self.dequantize(self.codes(latent, bandwidth))

    def decode(self, latent: Latent) -> Audio:
        """Audio `[b, t * hop, c]` of any latent, quantised or not. Trim it to the clip's own length."""
        return self.decoder(latent)
