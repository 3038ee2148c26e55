"""What distinguishes one DAC from another, and the named models.

Sources: Kumar et al. 2023 (arXiv 2306.06546), `descriptinc/descript-audio-codec` (`dac/model/dac.py`, `conf/final`),
the `config.json` files of `descript/dac_44khz`, `dac_24khz` and `dac_16khz`.
"""

import dataclasses
import math
from typing import Annotated, Literal

from audex_jax.core.configs import Between, Rate, Size, check, config_from
from audex_jax.core.errors import AudexError

Stride = Annotated[int, Between(2, 512)]


@dataclasses.dataclass(frozen=True)
class DacConfig:
    """Shape of one DAC; audio is mono. Two configs are equal when they build the same program.

    Attributes:
        name: human-readable name, stored in bundles.
        sample_rate: samples per second of the audio that the model reads and writes.
        filters: channels of the encoder's first convolution; doubled at every stride.
        strides: resampling factors in encoder order; the decoder walks them in reverse.
        dim: width of what the encoder makes and the decoder reads.
        decoder_filters: channels of the decoder's first convolution; halved at every stride.
        codebooks, codebook_size, codebook_dim: stages of the quantiser, entries in each, and width of an entry.
        latent: what is explained. `projected`: the chosen entries of all codebooks side by side. `quantised`: their sum
            in `dim` dimensions, which the decoder reads. `continuous`: what the encoder makes, without a quantiser.
    """

    name: str
    sample_rate: Rate
    filters: Size = 64
    strides: tuple[Stride, ...] = (2, 4, 8, 8)
    dim: Size = 1024
    decoder_filters: Size = 1536
    codebooks: Annotated[int, Between(1, 1024)] = 9
    codebook_size: Annotated[int, Between(2, 65_536)] = 1024
    codebook_dim: Size = 8
    latent: Literal["projected", "quantised", "continuous"] = "projected"

    def __post_init__(self):
        check(self)
        steps = min(len(self.strides), 32)
        width = self.filters << steps
        if self.hop > 1_000_000 or width > 2**20 or self.decoder_filters % 2**steps:
            raise AudexError(
                f"DacConfig: strides {self.strides}, {self.filters} filters and {self.decoder_filters} in the decoder "
                f"make frames of {self.hop} samples and {width} channels; at most 1000000 and {2**20}, and the "
                f"decoder's have to be a multiple of {2**steps}"
            )

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.strides)

    @property
    def bandwidth_per_codebook(self) -> float:
        """Kilobits per second that one codebook costs."""
        return math.log2(self.codebook_size) * self.sample_rate / self.hop / 1000

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Kilobits per second of 1, 2, ... codebooks: DAC was trained with any number of them."""
        return tuple(round(n * self.bandwidth_per_codebook, 3) for n in range(1, self.codebooks + 1))

    def codebooks_for(self, bandwidth: float | None) -> int:
        """Codebooks that fit into `bandwidth` kilobits per second; all of them for None.

        Raises:
            AudexError: not even one fits, or more than there are.

        >>> [DAC_44KHZ.codebooks_for(bandwidth) for bandwidth in (0.9, 6.0, 7.752, None)]
        [1, 6, 9, 9]
        """
        if bandwidth is None:
            return self.codebooks
        found = math.floor(bandwidth / self.bandwidth_per_codebook + 1e-3)
        if not 1 <= found <= self.codebooks:
            least, most = self.bandwidths[0], self.bandwidths[-1]
            raise AudexError(f"{self.name} has no bandwidth {bandwidth:g} kbps; it offers {least:g} to {most:g}")
        return found

    @classmethod
    def from_dict(cls, fields: dict) -> "DacConfig":
        """Rebuild a config that was stored as JSON.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


DAC_44KHZ = DacConfig(name="dac-44khz", sample_rate=44_100)
DAC_44KHZ_16KBPS = DacConfig(name="dac-44khz-16kbps", sample_rate=44_100, dim=128, codebooks=18)
DAC_24KHZ = DacConfig(name="dac-24khz", sample_rate=24_000, strides=(2, 4, 5, 8), codebooks=32)
DAC_16KHZ = DacConfig(name="dac-16khz", sample_rate=16_000, strides=(2, 4, 5, 8), codebooks=12)
# TINY is for tests: every kind of layer, next to no arithmetic.
TINY = DacConfig(
    name="dac-tiny",
    sample_rate=1_000,
    filters=2,
    strides=(2, 5),
    dim=10,
    decoder_filters=8,
    codebooks=3,
    codebook_size=16,
    codebook_dim=2,
)

PRESETS = {c.name: c for c in (DAC_16KHZ, DAC_24KHZ, DAC_44KHZ, DAC_44KHZ_16KBPS, TINY)}
