"""The published transformer, small: one layer 64 wide that reads companded latents, for a few hundred clips."""

import dataclasses

from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.core.configs import Depth, Gain, Size


@dataclasses.dataclass(frozen=True)
class SmallTransformerConfig(TransformerConfig):
    """Shape of the classifier; attributes as of `TransformerConfig`."""

    width: Size = 64
    layers: Depth = 1
    heads: Size = 4
    feed_forward: Size = 128
    companding: Gain = 10.0


class SmallTransformer(LatentTransformer):
    """`LatentTransformer` with other defaults."""

    config_class = SmallTransformerConfig


FAMILY = SmallTransformer
