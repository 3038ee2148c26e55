"""EnCodec in Flax NNX: configuration, convolutions, SEANet, quantiser, model."""

from audex_jax.codec.config import PRESETS as PRESETS
from audex_jax.codec.config import EncodecConfig as EncodecConfig
from audex_jax.codec.model import Encodec as Encodec
