"""Attribution in input space: the paper's other arm, for the frozen encoder and classifier taken together.

To the waveform `[n, c]`, a latent of n frames and c dimensions as far as the attribution methods are concerned:

    integrated_gradients(lambda audio: f(encode(audio)), audio, 0.0)

To the magnitude of the short-time spectrum, with the clip's own phase, so that what is taken out is a piece of sound
and not a click:

    magnitude, synthesise = spectrum(audio)
    integrated_gradients(lambda m: f(encode(synthesise(m))), magnitude, 0.0)

`encode` maps one clip's audio to its latent and must have a gradient: leave the quantiser out of it, as the published
protocol does. Encoders that normalise loudness divide by it; take a rule without the ends of the path, such as the
default one, since silence, the usual baseline, has none.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, Float


def spectrum(
    audio: Float[Array, "n c"], window: int = 512
) -> tuple[Float[Array, "m f"], Callable[[Float[Array, "m f"]], Float[Array, "n c"]]]:
    """Magnitude of the short-time Fourier transform, and the way back with the clip's own phase.

    Args:
        audio: one clip, `[n, c]`.
        window: Hann window in samples, even; the hop is a quarter of it.

    Returns:
        Magnitudes `[m, f]`, f counting the channels' frequencies one channel after the other; and the function that
        turns magnitudes of this shape into audio `[n, c]`. Of the magnitudes themselves it makes the clip again.

    Raises:
        ValueError: a window that is odd, or longer than the clip.
    """
    samples, channels = audio.shape
    if window % 4 or not 4 <= window <= samples:
        raise ValueError(f"window is {window} samples; it must be a multiple of 4, up to the clip's {samples}")
    transformed = jax.scipy.signal.stft(audio.T, nperseg=window, noverlap=window * 3 // 4)[2]  # [c, f, m]
    phase = jnp.exp(1j * jnp.angle(transformed))
    frames = transformed.shape[-1]

    def synthesise(magnitude: Float[Array, "m f"]) -> Float[Array, "n c"]:
        spectra = magnitude.reshape(frames, channels, -1).transpose(1, 2, 0) * phase
        return jax.scipy.signal.istft(spectra, nperseg=window, noverlap=window * 3 // 4)[1][:, :samples].T

    return jnp.abs(transformed).transpose(2, 0, 1).reshape(frames, -1), synthesise
