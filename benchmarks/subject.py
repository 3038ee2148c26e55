"""What is measured: the published shape with random weights, the bundled explainer, or a tiny model."""

import dataclasses
import json
import pathlib

import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.bundles import load_explainer
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
from audex_jax.codecs.encodec import Encodec
from audex_jax.codecs.encodec.config import TINY
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.mask_network import MaskNetwork, config_for
from audex_jax.explain.model import Model
from weights_conversion import published
from weights_conversion.classifier import classifier_tensors
from weights_conversion.export import export_codec
from weights_conversion.family import family_of

PUBLISHED = {"published": "encodec-24khz", "dac": "dac-24khz", "mimi": "mimi-24khz"}  # with random weights
SUBJECTS = (*PUBLISHED, "bundled", "tiny")
LONGEST = 30  # seconds for which the classifiers have positions


def explainer_of(subject: str, seconds: float = 1.0) -> Explainer:
    """One of `SUBJECTS` for clips of `seconds`; any other name is that of an explainer's bundle.

    Those of `PUBLISHED` are a codec and a classifier of 35 classes, with random weights.
    """
    if subject not in (*PUBLISHED, "tiny"):
        loaded = load_explainer("mini-speech-commands" if subject == "bundled" else subject)
        return Explainer(loaded.model, loaded.labels, seconds) if subject == "bundled" else loaded
    if subject == "tiny":
        codec = Encodec(dataclasses.replace(TINY, normalize=True), rngs=nnx.Rngs(0))
        shape = TransformerConfig(codec.dim, 3, LONGEST * 100, width=8, layers=1, heads=2, feed_forward=16)
    else:
        config = published()[PUBLISHED[subject]].config
        codec = family_of(config).codec(config, rngs=nnx.Rngs(0))
        shape = TransformerConfig(codec.dim, classes=35, frames=codec.frames(LONGEST * codec.sample_rate))
    model = Model(codec, LatentTransformer(shape, rngs=nnx.Rngs(1)), jnp.zeros(codec.dim))
    network = MaskNetwork(config_for(model, shape.classes), rngs=nnx.Rngs(2))
    model = model._replace(mask_network=network)
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
