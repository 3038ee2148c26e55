"""What distinguishes one Mimi from another, and the named models.

Sources: Défossez et al. 2024, "Moshi"; `kyutai-labs/moshi` (`moshi/models/loaders.py`); the `config.json` of
`kyutai/mimi`.
"""

import dataclasses
import math
from typing import Annotated, Any

from audex_jax.codecs.encodec.config import EncodecConfig, Taps
from audex_jax.core.configs import Between, Depth, Rate, Size, check, config_from
from audex_jax.core.errors import AudexError
from audex_jax.core.protocols import Count

STRIDE = 2  # transformer frames a latent frame
Books = Annotated[int, Between(1, 1024)]


@dataclasses.dataclass(frozen=True)
class MimiConfig:
    """Shape of one Mimi. Two configs are equal when they build the same program.

    Attributes:
        name: human-readable name, stored in bundles.
        sample_rate: samples per second of the audio that the model reads and writes.
        channels: audio channels.
        filters: channels of the first convolution; doubled at every resampling stage.
        ratios: resampling factors of SEANet in decoder order; the encoder walks them in reverse.
        kernel_size, last_kernel_size, residual_kernel_size: taps of the first, last and residual convolutions.
        compress: the residual block narrows to `width / compress` inside.
        width: of what SEANet gives to the transformer; a power of two times `filters` on the way there.
        layers, heads, feed_forward: of each transformer.
        context: frames that a frame attends to, itself and those before it.
        rope_base: of the rotary positions' wavelengths, in frames.
        codebooks, codebook_size, codebook_dim: stages of both quantisers together, entries in each, and their width.
        semantic_codebooks: how many of the stages are the semantic quantiser's.
    """

    name: str
    sample_rate: Rate
    channels: Annotated[int, Between(1, 16)] = 1
    filters: Size = 64
    ratios: tuple[Taps, ...] = (8, 6, 5, 4)
    kernel_size: Taps = 7
    last_kernel_size: Taps = 3
    residual_kernel_size: Taps = 3
    compress: Size = 2
    width: Size = 512
    layers: Depth = 8
    heads: Size = 8
    feed_forward: Size = 2048
    context: Annotated[int, Between(1, 1_000_000)] = 250
    rope_base: Annotated[float, Between(1, 1e9)] = 10_000.0
    codebooks: Books = 32
    codebook_size: Annotated[int, Between(2, 65_536)] = 2048
    codebook_dim: Size = 256
    semantic_codebooks: Books = 1

    def __post_init__(self):
        check(self)
        if self.width % (2 * self.heads):
            raise AudexError(f"MimiConfig: width {self.width} does not give {self.heads} heads an even number each")
        if self.semantic_codebooks >= self.codebooks:
            raise AudexError(
                f"MimiConfig: {self.semantic_codebooks} of {self.codebooks} codebooks are semantic; at least one has "
                "to be acoustic"
            )
        self.seanet  # noqa: B018  # refuses what SEANet cannot be

    @property
    def seanet(self) -> EncodecConfig:
        """The convolutional part, as the layers of EnCodec take it."""
        return self._part(dim=self.width)

    def quantizer(self, codebooks: int) -> EncodecConfig:
        """One of the two quantisers, as that of EnCodec takes it."""
        return self._part(dim=self.codebook_dim, codebooks=codebooks, codebook_size=self.codebook_size)

    def _part(self, **fields: Any) -> EncodecConfig:
        shared = ("name", "sample_rate", "channels", "filters", "ratios", "compress", "residual_kernel_size")
        shape = {field: getattr(self, field) for field in shared} | fields
        return EncodecConfig(**shape, shortcut="identity", pad_mode="constant")

    @property
    def dim(self) -> int:
        """Width of the latent: what the semantic quantiser codes, beside what the acoustic one does."""
        return 2 * self.codebook_dim

    @property
    def hop(self) -> int:
        """Samples per latent frame."""
        return math.prod(self.ratios) * STRIDE

    @property
    def frame_rate(self) -> float:
        """Latent frames per second."""
        return self.sample_rate / self.hop

    @property
    def bandwidth_per_codebook(self) -> float:
        """Kilobits per second that one codebook costs."""
        return math.log2(self.codebook_size) * self.frame_rate / 1000

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Kilobits per second of 1, 2, 4, ... and of all codebooks; training dropped stages at random."""
        stages = sorted({2**i for i in range(self.codebooks.bit_length())} | {self.codebooks})
        return tuple(round(n * self.bandwidth_per_codebook, 6) for n in stages if n >= self.semantic_codebooks)

    def codebooks_for(self, bandwidth: float) -> int:
        """Codebooks that `bandwidth` kilobits per second pay for.

        Raises:
            AudexError: the bandwidth is not one of `bandwidths`.
        """
        if bandwidth not in self.bandwidths:
            offered = ", ".join(f"{b:g}" for b in self.bandwidths)
            raise AudexError(f"{self.name} has no bandwidth {bandwidth:g} kbps; it offers {offered}")
        return round(bandwidth / self.bandwidth_per_codebook)

    def frames(self, samples: Count) -> Count:
        """Latent frames of a clip of `samples` samples."""
        return -(-samples // self.hop)

    @classmethod
    def from_dict(cls, fields: dict) -> "MimiConfig":
        """Rebuild a config that was stored as JSON.

        Raises:
            AudexError: a field is unknown, missing, or has the wrong value.
        """
        return config_from(cls, fields)


MIMI_24KHZ = MimiConfig(name="mimi-24khz", sample_rate=24_000)
# For tests: every kind of layer, next to no arithmetic.
TINY = MimiConfig(
    name="tiny-mimi",
    sample_rate=1_000,
    filters=2,
    ratios=(4,),
    width=8,
    layers=1,
    heads=2,
    feed_forward=12,
    context=5,
    codebooks=4,
    codebook_size=16,
    codebook_dim=3,
)

PRESETS = {c.name: c for c in (MIMI_24KHZ, TINY)}
