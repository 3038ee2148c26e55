"""DAC, the Descript Audio Codec, in Flax NNX: configuration, layers, quantiser, model."""

from audex_jax.codecs.dac.config import PRESETS as PRESETS
from audex_jax.codecs.dac.config import TINY as TINY
from audex_jax.codecs.dac.config import DacConfig as DacConfig
from audex_jax.codecs.dac.model import Dac as Dac

FAMILY = Dac
