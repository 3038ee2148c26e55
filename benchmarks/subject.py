"""What is measured: random weights in the published shape, the bundled explainer, or next to nothing."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.codecs.encodec import Encodec, EncodecConfig
from audex_jax.codecs.encodec.config import ENCODEC_24KHZ, TINY
from audex_jax.explain.explainer import load_explainer
from audex_jax.explain.step import Model

SUBJECTS = ("published", "bundled", "tiny")
LONGEST = 30  # seconds that the published shape's position table has here


def weights_of(subject: str) -> Model:
    """Codec and classifier: `published` (EnCodec at 24 kHz, 35 classes), `bundled`, or `tiny` for smoke tests."""
    if subject == "bundled":
        return load_explainer("mini-speech-commands").weights
    if subject == "tiny":
        codec = dataclasses.replace(TINY, normalize=True)
        shape = TransformerConfig(codec.dim, 3, LONGEST * 100, width=8, layers=1, heads=2, feed_forward=16)
        return _random(codec, shape)
    return _random(ENCODEC_24KHZ, TransformerConfig(dim=128, classes=35, frames=LONGEST * 75))


def _random(codec: EncodecConfig, shape: TransformerConfig) -> Model:
    rngs = nnx.Rngs(0)
    return Model(Encodec(codec, rngs=rngs), LatentTransformer(shape, rngs=rngs), jnp.zeros(codec.dim))


def clips_of(config: EncodecConfig, count: int, seconds: float) -> np.ndarray:
    """Noise of rising and falling loudness, `[b, n, c]`; no clip is silent anywhere, none is like another."""
    samples = round(seconds * config.sample_rate)
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * (np.arange(samples) / config.sample_rate + rng.random((count, 1)))
    sound = 0.1 * (1.2 + np.sin(phase))[..., None] * rng.normal(size=(count, samples, config.channels))
    return sound.astype(np.float32)
