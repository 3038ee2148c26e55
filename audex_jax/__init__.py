"""Hear why an audio classifier decided as it did: latent Integrated Gradients on EnCodec.

The public names, imported on first use, so that `import audex_jax` and `audex --help` do not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from audex_jax.attribution import PathAttribution as PathAttribution
    from audex_jax.attribution import integrated_gradients as integrated_gradients
    from audex_jax.audio import AudioError as AudioError
    from audex_jax.audio import read_audio as read_audio
    from audex_jax.audio import write_audio as write_audio
    from audex_jax.batch.stream import explain_batches as explain_batches
    from audex_jax.checkpoint import BundleError as BundleError
    from audex_jax.checkpoint import load_codec as load_codec
    from audex_jax.checkpoint import save_codec as save_codec
    from audex_jax.classifier import ClassifierConfig as ClassifierConfig
    from audex_jax.classifier import LatentClassifier as LatentClassifier
    from audex_jax.codec import Encodec as Encodec
    from audex_jax.codec import EncodecConfig as EncodecConfig
    from audex_jax.errors import AudexError as AudexError
    from audex_jax.explain_files import demo_clips as demo_clips
    from audex_jax.explainer import Explainer as Explainer
    from audex_jax.explainer import Explanation as Explanation
    from audex_jax.explainer import load_explainer as load_explainer
    from audex_jax.explainer import save_explainer as save_explainer
    from audex_jax.pipeline import Weights as Weights
    from audex_jax.settings import Settings as Settings

_HOME = {
    "AudexError": "errors",
    "AudioError": "audio",
    "BundleError": "checkpoint",
    "ClassifierConfig": "classifier",
    "Encodec": "codec",
    "EncodecConfig": "codec",
    "Explainer": "explainer",
    "Explanation": "explainer",
    "LatentClassifier": "classifier",
    "PathAttribution": "attribution",
    "Settings": "settings",
    "Weights": "pipeline",
    "demo_clips": "explain_files",
    "explain_batches": "batch.stream",
    "integrated_gradients": "attribution",
    "load_codec": "checkpoint",
    "load_explainer": "explainer",
    "read_audio": "audio",
    "save_codec": "checkpoint",
    "save_explainer": "explainer",
    "write_audio": "audio",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"audex_jax.{_HOME[name]}"), name)
    raise AttributeError(f"module 'audex_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
