"""The legend: one letter a dimension, one alias an array. Everything else in the package reads from here.

| letter | meaning                                  |
|--------|------------------------------------------|
| b      | clips in a batch                         |
| n      | audio samples                            |
| c      | audio channels                           |
| t      | latent frames                            |
| d      | latent dimensions                        |
| q      | codebooks (stages of the quantiser)      |
| k      | classes                                  |

Channels are last everywhere: audio is `[b, n, c]`, latents are `[b, t, d]`. The channels-first order of PyTorch
exists only in `weights_conversion` and in the parity tests.
"""

from jaxtyping import Array, Bool, Complex, Float, Int

Audio = Float[Array, "b n c"]  # amplitude, full scale is 1.0
Latent = Float[Array, "b t d"]  # encoder output, before or after the quantiser
Codes = Int[Array, "b t q"]  # codebook indices
Valid = Bool[Array, "b t"]  # True where a frame belongs to the clip, False where it is padding
Logits = Float[Array, "b k"]

ClipLatent = Float[Array, "t d"]  # one clip
ClipValid = Bool[Array, " t"]
Attribution = Float[Array, "t d"]  # one clip; same shape as its latent
Mask = Bool[Array, "t d"]  # one clip; True where the element is kept

__all__ = [
    "Array",
    "Attribution",
    "Audio",
    "Bool",
    "ClipLatent",
    "ClipValid",
    "Codes",
    "Complex",
    "Float",
    "Int",
    "Latent",
    "Logits",
    "Mask",
    "Valid",
]
