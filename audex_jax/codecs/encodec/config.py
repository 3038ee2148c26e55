"""What distinguishes one EnCodec model from another, and the named models.

Sources: `facebookresearch/encodec` (`encodec/model.py`), the `config.json` files of `facebook/encodec_24khz`,
`encodec_32khz`, `encodec_48khz`, and `facebookresearch/audiocraft` (`config/model/encodec`).
"""

import dataclasses
import math
from typing import Annotated, Literal

from audex_jax.core.configs import Between, Rate, Size, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count

Taps = Annotated[int, Between(1, 1024)]


@dataclasses.dataclass(frozen=True)
class EncodecConfig:
    """Shape of one EnCodec model. Two configs are equal when they build the same program.

    Attributes:
        name: human-readable name, stored in bundles.
        sample_rate: samples per second of the audio that the model reads and writes.
        channels: audio channels (1 mono, 2 stereo).
        filters: channels of the first convolution; doubled at every resampling stage.
        ratios: resampling factors in decoder order; the encoder walks them in reverse.
        dim: width of the latent.
        lstm_layers: LSTM layers at the bottleneck of the encoder, and of the decoder.
        kernel_size, last_kernel_size, residual_kernel_size: taps of the first, last and residual convolutions.
        compress: the residual block narrows to `width / compress` inside.
        norm: `"none"` (weight norm is folded into the kernels) or `"group"` (GroupNorm with one group).
        causal: pad on the left only; otherwise centred.
        shortcut: residual shortcut, a 1x1 convolution or the identity.
        pad_mode: `"reflect"` or `"constant"` (zeros).
        codebooks, codebook_size: stages of the residual quantiser and entries in each.
        bandwidths: kilobits per second that the model was trained for.
        normalize: scale each segment to unit loudness before encoding (48 kHz model).
        segment_seconds: encode in segments of this length, or None for the whole clip at once.
        overlap: share of a segment that overlaps the next one.
    """

    name: str
    sample_rate: Rate
    channels: Annotated[int, Between(1, 16)] = 1
    filters: Size = 32
    ratios: tuple[Taps, ...] = (8, 5, 4, 2)
    dim: Size = 128
    lstm_layers: Annotated[int, Between(1, 16)] = 2
    kernel_size: Taps = 7
    last_kernel_size: Taps = 7
    residual_kernel_size: Taps = 3
    compress: Size = 2
    norm: Literal["none", "group"] = "none"
    causal: bool = True
    shortcut: Literal["conv", "identity"] = "conv"
    pad_mode: Literal["reflect", "constant"] = "reflect"
    codebooks: Annotated[int, Between(1, 1024)] = 32
    codebook_size: Annotated[int, Between(2, 65_536)] = 1024
    bandwidths: tuple[Annotated[float, Between(1e-3, 1e5)], ...] = (1.5, 3.0, 6.0, 12.0, 24.0)
    normalize: bool = False
    segment_seconds: Annotated[float, Between(1e-3, 3600)] | None = None
    overlap: Annotated[float, Between(0, 0.99)] = 0.0

    def __post_init__(self):
        check(self)
        width = self.filters << min(len(self.ratios), 32)
        if self.hop > 1_000_000 or width > 2**20 or self.compress > self.filters:
            raise AudexError(
                f"EncodecConfig: ratios {self.ratios}, {self.filters} filters and compress {self.compress} make frames "
                f"of {self.hop} samples and {width} channels; at most 1000000 and {2**20}, compress at most the filters"
            )
        if self.segment_samples is not None and self.segment_samples < self.hop:
            raise AudexError(f"EncodecConfig: a segment of {self.segment_samples} samples is shorter than a frame")

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.ratios)

    @property
    def frame_rate(self) -> float:
        """Latent frames per second."""
        return self.sample_rate / self.hop

    @property
    def bandwidth_per_codebook(self) -> float:
        """Kilobits per second that one codebook costs."""
        return math.log2(self.codebook_size) * math.ceil(self.frame_rate) / 1000

    def codebooks_for(self, bandwidth: float) -> int:
        """Codebooks that fit into `bandwidth` kilobits per second (at least one).

        Raises:
            AudexError: the bandwidth is not one of `bandwidths`.
        """
        if bandwidth not in self.bandwidths:
            offered = ", ".join(f"{b:g}" for b in self.bandwidths)
            raise AudexError(f"{self.name} has no bandwidth {bandwidth:g} kbps; it offers {offered}")
        return min(self.codebooks, max(1, math.floor(bandwidth / self.bandwidth_per_codebook + 1e-9)))

    def frames(self, samples: Count) -> Count:
        """Latent frames of a clip of `samples` samples encoded as one segment."""
        return -(-samples // self.hop)

    @property
    def segment_samples(self) -> int | None:
        return None if self.segment_seconds is None else int(self.segment_seconds * self.sample_rate)

    @property
    def segment_stride(self) -> int | None:
        """Samples from the start of one segment to the start of the next."""
        if self.segment_samples is None:
            return None
        return max(1, int((1 - self.overlap) * self.segment_samples))

    @classmethod
    def from_dict(cls, fields: dict) -> "EncodecConfig":
        """Rebuild a config that was stored as JSON.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


ENCODEC_24KHZ = EncodecConfig(name="encodec-24khz", sample_rate=24_000)
ENCODEC_48KHZ = EncodecConfig(
    name="encodec-48khz",
    sample_rate=48_000,
    channels=2,
    norm="group",
    causal=False,
    codebooks=16,
    bandwidths=(3.0, 6.0, 12.0, 24.0),
    normalize=True,
    segment_seconds=1.0,
    overlap=0.01,
)
ENCODEC_32KHZ = EncodecConfig(
    name="encodec-32khz",
    sample_rate=32_000,
    filters=64,
    ratios=(8, 5, 4, 4),
    causal=False,
    shortcut="identity",
    codebooks=4,
    codebook_size=2048,
    bandwidths=(2.2,),
)
AUDIOGEN_16KHZ = EncodecConfig(
    name="audiogen-16khz",
    sample_rate=16_000,
    filters=64,
    causal=False,
    shortcut="identity",
    pad_mode="constant",  # audiocraft's default; a converted file's own config decides
    codebooks=4,
    codebook_size=2048,
    bandwidths=(2.2,),
)

# Ours. MINI is the bundled codec: half the filters of the 24 kHz model and one LSTM layer, so that codec, quantiser
# and classifier fit into 12 MB; many small codebooks cost less memory and time than few large ones at equal rate.
# Clips are brought to unit loudness as in the 48 kHz model, so that a classifier cannot read the recording level.
MINI = EncodecConfig(
    name="mini",
    sample_rate=16_000,
    filters=16,
    ratios=(2, 4, 5, 8),
    dim=256,
    lstm_layers=1,
    normalize=True,
    codebooks=64,
    codebook_size=64,
    bandwidths=(1.5, 3.0, 6.0, 12.0, 19.2),
)
# TINY is for tests: every kind of layer, next to no arithmetic.
TINY = EncodecConfig(
    name="tiny",
    sample_rate=1_000,
    filters=2,
    ratios=(5, 2),
    dim=6,
    lstm_layers=1,
    codebooks=4,
    codebook_size=16,
    bandwidths=(0.4, 0.8, 1.6),
)

PRESETS = {c.name: c for c in (ENCODEC_24KHZ, ENCODEC_32KHZ, ENCODEC_48KHZ, AUDIOGEN_16KHZ, MINI, TINY)}
