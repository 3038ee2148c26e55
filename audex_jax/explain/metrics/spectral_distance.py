"""How far the spectrum of the explanation is from that of the reconstruction."""

import numpy as np
import scipy.fft

from audex_jax.explain.result import Explanation

WINDOW, HOP = 1024, 256  # samples
HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
FLOOR_DB = -80.0  # below the reconstruction's largest power bin nothing is compared


def measure(explanation: Explanation, recording: np.ndarray) -> float:
    """Log-spectral distance of the explanation from the reconstruction, in dB; 0 is the same sound.

    The mean over frames of the root mean square difference of power spectra in dB; Hann windows of 1024 samples every
    256, over the clip's own samples.
    """
    del recording
    powers = [_powers(sound) for sound in (explanation.audio, explanation.reconstruction)]
    floor = max(powers[1].max() * 10 ** (FLOOR_DB / 10), 1e-20)
    one, other = (10 * np.log10(power + floor) for power in powers)
    return float(np.sqrt(np.square(one - other).mean(1)).mean())


def _powers(sound: np.ndarray) -> np.ndarray:
    """Power of every frame and bin, `[frames, bins]`; a clip shorter than a window is one frame.

    In float32, which `numpy.fft` does not compute in: this is done for every clip.
    """
    mono = np.asarray(sound if sound.ndim == 1 else sound.mean(1), np.float32)
    mono = np.pad(mono, (0, max(0, WINDOW - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    return np.abs(np.asarray(scipy.fft.rfft(frames * HANN))) ** 2
