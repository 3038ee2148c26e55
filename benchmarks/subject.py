"""What is measured: the published shape with random weights, the bundled explainer, or a tiny model."""

import dataclasses
import json
import pathlib

import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.bundles import load_explainer
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.codecs.encodec import Encodec, EncodecConfig
from audex_jax.codecs.encodec.config import ENCODEC_24KHZ, TINY
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model
from weights_conversion.classifier import classifier_tensors
from weights_conversion.export import export_codec

SUBJECTS = ("published", "bundled", "tiny")
LONGEST = 30  # seconds for which the classifiers have positions


def explainer_of(subject: str, seconds: float = 1.0) -> Explainer:
    """One of `SUBJECTS` for clips of `seconds`; any other name is that of an explainer's bundle.

    `published` is EnCodec at 24 kHz and a classifier of 35 classes, with random weights.
    """
    if subject not in ("published", "tiny"):
        loaded = load_explainer("mini-speech-commands" if subject == "bundled" else subject)
        return Explainer(loaded.model, loaded.labels, seconds) if subject == "bundled" else loaded
    if subject == "tiny":
        codec = dataclasses.replace(TINY, normalize=True)
        shape = TransformerConfig(codec.dim, 3, LONGEST * 100, width=8, layers=1, heads=2, feed_forward=16)
        return _random(codec, shape, seconds)
    return _random(ENCODEC_24KHZ, TransformerConfig(dim=128, classes=35, frames=LONGEST * 75), seconds)


def _random(codec: EncodecConfig, shape: TransformerConfig, seconds: float) -> Explainer:
    rngs = nnx.Rngs(0)
    model = Model(Encodec(codec, rngs=rngs), LatentTransformer(shape, rngs=rngs), jnp.zeros(codec.dim))
    return Explainer(model, [f"class {number}" for number in range(shape.classes)], seconds)


def clips_of(explainer: Explainer, count: int) -> np.ndarray:
    """Clips `[b, n, c]` of full length: noise whose loudness rises and falls; no two are alike, none is ever silent.

    They are so soft that no sound made of them exceeds full scale: older revisions and PyTorch do not reduce it.
    """
    rate, channels = explainer.sample_rate, explainer.model.codec.channels
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * (np.arange(explainer.clip_samples) / rate + rng.random((count, 1)))
    noise = rng.normal(size=(count, explainer.clip_samples, channels))
    return (0.02 * (1.2 + np.sin(phase))[..., None] * noise).astype(np.float32)


def export(model: Model, folder: str | pathlib.Path) -> None:
    """Write the weights for PyTorch: `reference.load_codec` and `load_classifier` read them without JAX."""
    export_codec(model.codec, f"{folder}/codec")
    np.savez(f"{folder}/classifier.npz", allow_pickle=False, **classifier_tensors(model.classifier))
    config = json.dumps(dataclasses.asdict(model.classifier.config))
    pathlib.Path(folder, "classifier.json").write_text(config, encoding="utf-8")
