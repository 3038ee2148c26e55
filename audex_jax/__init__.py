"""Hear why an audio classifier decided as it did: latent Integrated Gradients on EnCodec.

The public names, imported on first use, so that `import audex_jax` and `audex --help` do not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from audex_jax.adapters.explainers import explain_model as explain_model
    from audex_jax.adapters.explainers import for_waveform as for_waveform
    from audex_jax.adapters.explainers import from_function as from_function
    from audex_jax.adapters.explainers import from_torch as from_torch
    from audex_jax.adapters.huggingface import from_huggingface as from_huggingface
    from audex_jax.adapters.onnx import from_onnx as from_onnx
    from audex_jax.attribution import PathAttribution as PathAttribution
    from audex_jax.attribution import integrated_gradients as integrated_gradients
    from audex_jax.batch.stream import explain_batches as explain_batches
    from audex_jax.bundles import BundleError as BundleError
    from audex_jax.bundles import load_codec as load_codec
    from audex_jax.bundles import load_explainer as load_explainer
    from audex_jax.bundles import save_codec as save_codec
    from audex_jax.bundles import save_explainer as save_explainer
    from audex_jax.classifiers.transformer import LatentTransformer as LatentTransformer
    from audex_jax.classifiers.transformer import TransformerConfig as TransformerConfig
    from audex_jax.codecs.encodec import Encodec as Encodec
    from audex_jax.codecs.encodec import EncodecConfig as EncodecConfig
    from audex_jax.core.errors import AudexError as AudexError
    from audex_jax.core.settings import Settings as Settings
    from audex_jax.data.inputs import demo_clips as demo_clips
    from audex_jax.explain.explainer import Explainer as Explainer
    from audex_jax.explain.model import Model as Model
    from audex_jax.explain.result import Explanation as Explanation
    from audex_jax.io.audio import AudioError as AudioError
    from audex_jax.io.audio import read_audio as read_audio
    from audex_jax.io.audio import write_audio as write_audio

_HOME = {
    "AudexError": "core.errors",
    "AudioError": "io.audio",
    "BundleError": "bundles",
    "TransformerConfig": "classifiers.transformer",
    "Encodec": "codecs.encodec",
    "EncodecConfig": "codecs.encodec",
    "Explainer": "explain.explainer",
    "Explanation": "explain.result",
    "LatentTransformer": "classifiers.transformer",
    "PathAttribution": "attribution",
    "Settings": "core.settings",
    "Model": "explain.model",
    "demo_clips": "data.inputs",
    "explain_batches": "batch.stream",
    "explain_model": "adapters.explainers",
    "for_waveform": "adapters.explainers",
    "from_function": "adapters.explainers",
    "from_huggingface": "adapters.huggingface",
    "from_onnx": "adapters.onnx",
    "from_torch": "adapters.explainers",
    "integrated_gradients": "attribution",
    "load_codec": "bundles",
    "load_explainer": "bundles",
    "read_audio": "io.audio",
    "save_codec": "bundles",
    "save_explainer": "bundles",
    "write_audio": "io.audio",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


_ATTACHED = {  # modules that give a class methods which its own floor cannot know
    "Explainer": ("adapters.explainers", "report.attached"),
    **dict.fromkeys(("Explanation", "explain_batches", "explain_model", "load_explainer"), ("report.attached",)),
}


def __getattr__(name: str):
    for module in _ATTACHED.get(name, ()):
        importlib.import_module(f"audex_jax.{module}")
    if name in _HOME:
        return getattr(importlib.import_module(f"audex_jax.{_HOME[name]}"), name)
    raise AttributeError(f"module 'audex_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
