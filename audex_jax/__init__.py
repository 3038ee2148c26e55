"""Hear why an audio classifier decided as it did: latent Integrated Gradients on EnCodec.

The public names, imported on first use, so that `import audex_jax` and `audex --help` do not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from audex_jax.attribution import PathAttribution as PathAttribution
    from audex_jax.attribution import integrated_gradients as integrated_gradients
    from audex_jax.batch.stream import explain_batches as explain_batches
    from audex_jax.bundles import BundleError as BundleError
    from audex_jax.bundles import load_codec as load_codec
    from audex_jax.bundles import save_codec as save_codec
    from audex_jax.classifiers.latent import ClassifierConfig as ClassifierConfig
    from audex_jax.classifiers.latent import LatentClassifier as LatentClassifier
    from audex_jax.codecs.encodec import Encodec as Encodec
    from audex_jax.codecs.encodec import EncodecConfig as EncodecConfig
    from audex_jax.core.errors import AudexError as AudexError
    from audex_jax.core.settings import Settings as Settings
    from audex_jax.explain.explainer import Explainer as Explainer
    from audex_jax.explain.explainer import Explanation as Explanation
    from audex_jax.explain.explainer import load_explainer as load_explainer
    from audex_jax.explain.explainer import save_explainer as save_explainer
    from audex_jax.explain.step import Model as Model
    from audex_jax.io.audio import AudioError as AudioError
    from audex_jax.io.audio import read_audio as read_audio
    from audex_jax.io.audio import write_audio as write_audio
    from audex_jax.report.files import demo_clips as demo_clips

_HOME = {
    "AudexError": "core.errors",
    "AudioError": "io.audio",
    "BundleError": "bundles",
    "ClassifierConfig": "classifiers.latent",
    "Encodec": "codecs.encodec",
    "EncodecConfig": "codecs.encodec",
    "Explainer": "explain.explainer",
    "Explanation": "explain.explainer",
    "LatentClassifier": "classifiers.latent",
    "PathAttribution": "attribution",
    "Settings": "core.settings",
    "Model": "explain.step",
    "demo_clips": "report.files",
    "explain_batches": "batch.stream",
    "integrated_gradients": "attribution",
    "load_codec": "bundles",
    "load_explainer": "explain.explainer",
    "read_audio": "io.audio",
    "save_codec": "bundles",
    "save_explainer": "explain.explainer",
    "write_audio": "io.audio",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"audex_jax.{_HOME[name]}"), name)
    raise AttributeError(f"module 'audex_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
