"""Mimi in Flax NNX: configuration, SEANet, transformers, resampling, split quantiser, model."""

from audex_jax.codecs.mimi.config import PRESETS as PRESETS
from audex_jax.codecs.mimi.config import TINY as TINY
from audex_jax.codecs.mimi.config import MimiConfig as MimiConfig
from audex_jax.codecs.mimi.model import Mimi as Mimi

FAMILY = Mimi
