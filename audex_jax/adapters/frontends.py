"""Feature extractors of Hugging Face as functions of PyTorch tensors, so that gradients pass to the audio.

Each gives what the library's own extractor gives for clips `[b, n]` of one length, without dither.
"""

import dataclasses
import functools
import warnings
from typing import Any, ClassVar

from audex_jax.core.errors import AudexError

WINDOW, HOP, FFT = 400, 160, 512  # samples of a frame of the filter bank, as Kaldi has them at 16 kHz
PREEMPHASIS = 0.97
FLOOR = 1.192092955078125e-07  # least energy in a filter
EMPTY = "At least one mel filter has all zero values"  # what the library warns of


@functools.cache
def _filters(fft: int, bins: int, least: float, most: float, rate: int, norm: str | None, scale: str, in_mel: bool):
    """Mel filters `[fft / 2 + 1, bins]`, those of the library."""
    from transformers.audio_utils import mel_filter_bank

    with warnings.catch_warnings():  # AST's lowest filters are narrower than a bin of the spectrum, and empty
        warnings.filterwarnings("ignore", EMPTY)
        return mel_filter_bank(fft // 2 + 1, bins, least, most, rate, norm, scale, in_mel)


@dataclasses.dataclass(frozen=True)
class UnitVariance:
    """Audio `[b, n]` of zero mean and unit variance: wav2vec2, HuBERT, WavLM.

    Attributes:
        normalize: False leaves the audio as it is.
        seconds: of audio that are read.
    """

    normalize: bool
    seconds: ClassVar[float] = float("inf")

    def __call__(self, audio: Any) -> Any:
        """What the model takes, `[b, n]`."""
        if not self.normalize:
            return audio
        centred = audio - audio.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-7).sqrt()


@dataclasses.dataclass(frozen=True)
class FilterBank:
    """Logarithms of the energies in Kaldi's mel filters: AST.

    Computed in float64, as the extractor does: quiet filters beside loud ones are lost otherwise.

    Attributes:
        rate: sample rate in Hz.
        bins: number of filters.
        frames: of the result; those of shorter clips are followed by zeros, longer clips are cut.
        normalize: whether `mean` and twice `std` are applied.
        mean, std: of the training set.
    """

    rate: int
    bins: int
    frames: int
    normalize: bool
    mean: float
    std: float

    @property
    def seconds(self) -> float:
        """Of audio that are read."""
        return (WINDOW + HOP * (self.frames - 1)) / self.rate

    def __call__(self, audio: Any) -> Any:
        """What the model takes, `[b, frames, bins]`. Less than one frame of audio is padded to one."""
        import torch
        from torch.nn.functional import pad

        filters = _filters(FFT, self.bins, 20, self.rate // 2, self.rate, None, "kaldi", True)
        wide = {"dtype": torch.float64, "device": audio.device}
        own = pad(audio.to(torch.float64), (0, max(0, WINDOW - audio.shape[-1])))
        framed = own.unfold(-1, WINDOW, HOP)[:, : self.frames]
        framed = framed - framed.mean(-1, keepdim=True)
        before = torch.cat([framed[..., :1], framed[..., :-1]], -1)
        windowed = (framed - PREEMPHASIS * before) * torch.hann_window(WINDOW, periodic=False, **wide)
        power = torch.view_as_real(torch.fft.rfft(windowed, FFT)).square().sum(-1)
        energy = power @ torch.as_tensor(filters, **wide)
        found = pad(energy.clamp(min=FLOOR).log(), (0, 0, 0, self.frames - framed.shape[1]))
        if self.normalize:
            found = (found - self.mean) / (2 * self.std)
        return found.to(audio.dtype)


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Whisper's log-mel spectrogram of clips that are padded with zeros, or cut, to a fixed length.

    Attributes:
        rate: sample rate in Hz.
        bins: number of mel filters.
        hop: samples from one frame to the next.
        fft: samples of a frame.
        samples: length that the model reads.
    """

    rate: int
    bins: int
    hop: int
    fft: int
    samples: int

    @property
    def seconds(self) -> float:
        """Of audio that are read."""
        return self.samples / self.rate

    def __call__(self, audio: Any) -> Any:
        """What the model takes, `[b, bins, samples / hop]`."""
        import torch
        from torch.nn.functional import pad

        filters = _filters(self.fft, self.bins, 0, 8000, self.rate, "slaney", "slaney", False)
        own = pad(audio[:, : self.samples], (0, max(0, self.samples - audio.shape[-1])))
        window = torch.hann_window(self.fft, device=audio.device)
        spectrum = torch.stft(own, self.fft, self.hop, window=window, return_complex=True)[..., :-1]
        power = torch.view_as_real(spectrum).square().sum(-1)
        mel = torch.as_tensor(filters, dtype=audio.dtype, device=audio.device).T @ power
        found = mel.clamp(min=1e-10).log10()
        return (torch.maximum(found, found.amax((1, 2), keepdim=True) - 8) + 4) / 4


def front_end(extractor: Any) -> UnitVariance | FilterBank | LogMel:
    """The differentiable form of a feature extractor of `transformers`.

    Raises:
        AudexError: there is none for this extractor.
    """
    e, name = extractor, type(extractor).__name__
    if name == "Wav2Vec2FeatureExtractor":
        return UnitVariance(e.do_normalize)
    if name == "ASTFeatureExtractor":
        return FilterBank(e.sampling_rate, e.num_mel_bins, e.max_length, e.do_normalize, e.mean, e.std)
    if name == "WhisperFeatureExtractor":
        return LogMel(e.sampling_rate, e.feature_size, e.hop_length, e.n_fft, e.n_samples)
    raise AudexError(
        f"the feature extractor {name} has no differentiable form here, only those of Wav2Vec2, AST and Whisper have; "
        "wrap model and features in a PyTorch module and give it to from_torch"
    )
