"""EnCodec in Flax NNX: configuration, convolutions, SEANet, quantiser, model."""

from audex_jax.codecs.encodec.config import PRESETS as PRESETS
from audex_jax.codecs.encodec.config import EncodecConfig as EncodecConfig
from audex_jax.codecs.encodec.model import Encodec as Encodec

FAMILY = Encodec
