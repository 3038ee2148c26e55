"""What the codec is trained to keep: the waveform, its spectra at several resolutions, and its own latents.

All losses are relative to the reference, so quiet and loud clips weigh the same.
"""

import jax.numpy as jnp
import numpy as np

from audex_jax.core.mel import mel_filters
from audex_jax.core.types import Array, Complex, Float

MEL_WINDOWS = (128, 256, 512, 1024, 2048)  # samples; EnCodec uses 2^5 to 2^11 (arXiv 2210.13438, section 3.4)
MEL_BANDS = 64
FLOOR = 1e-3  # of the clip's mean: below it a difference is inaudible and not worth a gradient


PRE_EMPHASIS = 0.95  # of the previous sample, taken off: flattens the spectrum of speech


def waveform_loss(reference: Float[Array, "b n"], estimate: Float[Array, "b n"]) -> Float[Array, " b"]:
    """Mean absolute error relative to the clip's mean absolute value; 1 for a silent estimate.

    The mean of two: of the waveform, and of the waveform after pre-emphasis. Nearly all energy of speech lies below
    1 kHz, so without the second the phase of everything above goes unlearnt.
    """

    def relative(a: Array, b: Array) -> Array:
        return jnp.abs(a - b).mean(-1) / (jnp.abs(a).mean(-1) + 1e-4)

    def emphasise(x: Array) -> Array:
        return x[:, 1:] - PRE_EMPHASIS * x[:, :-1]

    return (relative(reference, estimate) + relative(emphasise(reference), emphasise(estimate))) / 2


def mel_loss(reference: Float[Array, "b n"], estimate: Float[Array, "b n"], sample_rate: int) -> Float[Array, " b"]:
    """Mean over resolutions of L1 on mel magnitudes, relative to their mean, plus L1 on their logarithms.

    EnCodec's frequency loss (arXiv 2210.13438, equation 2) with both terms relative and L1 for the logarithms.
    """
    total = jnp.zeros(reference.shape[0])
    for window in MEL_WINDOWS:
        a, b = (mel_magnitudes(x, window, sample_rate) for x in (reference, estimate))
        mean = a.mean((1, 2), keepdims=True) + 1e-5
        floor = FLOOR * mean + 1e-6
        linear = jnp.abs(a - b).mean((1, 2)) / mean[:, 0, 0]
        logarithmic = jnp.abs(jnp.log(a + floor) - jnp.log(b + floor)).mean((1, 2))
        total += linear + 0.3 * logarithmic
    return total / len(MEL_WINDOWS)


def log_mel(audio: Float[Array, "b n"], hop: int, sample_rate: int) -> Float[Array, "b t m"]:
    """Log-mel spectrogram of a clip's latent frames: the window of `2 * hop` samples is centred on the frame.

    Magnitudes are relative to unit level, with a floor 40 dB below.
    """
    audio = jnp.pad(audio, ((0, 0), (0, -audio.shape[1] % hop)))  # windows are hop / 2 apart; every other is centred
    return jnp.log(mel_magnitudes(audio, 2 * hop, sample_rate)[:, 1 : audio.shape[1] // hop * 2 : 2] + 1e-2)


def latent_loss(reference: Float[Array, "b t d"], estimate: Float[Array, "b t d"]) -> Float[Array, " b"]:
    """Mean squared error of each clip relative to the variance of the whole batch, summed over dimensions.

    Relative to the variance and not to the mean square: else a latent that hardly varies would cost nothing.
    """
    variance = reference.var((0, 1)).mean() + 1e-6
    return jnp.square(reference - estimate).mean((1, 2)) / variance


def mel_magnitudes(audio: Float[Array, "b n"], window: int, sample_rate: int) -> Float[Array, "b f m"]:
    """Mel-band magnitudes of a spectrogram."""
    spectrum = spectrogram(audio, window)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return jnp.sqrt(power + 1e-10) @ mel_filters(window // 2 + 1, mel_bands(window), sample_rate)


def mel_bands(window: int) -> int:
    """Bands of a window's mel spectrum: fewer where it has few bins."""
    return min(MEL_BANDS, (window // 2 + 1) // 2)


def spectrogram(audio: Float[Array, "b n"], window: int) -> Complex[Array, "b f k"]:
    """Fourier transforms of Hann-windowed frames, a quarter of a window apart; the window has unit energy."""
    hop = window // 4
    audio = jnp.pad(audio, ((0, 0), (window // 2, window // 2 + (-audio.shape[1]) % hop)))
    quarters = audio.reshape(audio.shape[0], -1, hop)
    frames = jnp.concatenate([quarters[:, i : quarters.shape[1] - 3 + i] for i in range(4)], axis=-1)
    hann = np.sqrt(2 / 3 / window) * (1 - np.cos(2 * np.pi * np.arange(window) / window))
    return jnp.fft.rfft(frames * hann.astype(np.float32))
