"""Audio classifiers of Hugging Face: wav2vec2, HuBERT, WavLM, AST, Whisper's encoder (extra `huggingface`)."""

import os
import pathlib
import warnings
from typing import Any

from audex_jax.adapters.explainers import bounded, from_torch
from audex_jax.adapters.frontends import EMPTY, front_end
from audex_jax.core.errors import AudexError
from audex_jax.explain.explainer import Explainer

UNUSED = ("masked_spec_embed",)  # weights that only training uses; some files lack them


def from_huggingface(folder_or_id: str | os.PathLike, **options: Any) -> Explainer:
    """Explainer of an `AutoModelForAudioClassification` of `transformers`.

    Labels and sample rate are the model's own; the `problem_type` "multi_label_classification" means independent
    labels. The feature extractor is rewritten so that gradients pass, see `adapters.frontends`. A GPU is used if there
    is one.

    Args:
        folder_or_id: folder that `save_pretrained` wrote, of model and feature extractor; or the id of a model on the
            hub, which needs network.
        options: as in `for_waveform`.

    Raises:
        AudexError: no such model, no audio classifier, or a feature extractor that is not rewritten here; a clip length
            beyond what the model reads; as in `from_torch`.
    """
    model, extractor = _load(os.fspath(folder_or_id))
    front, config = front_end(extractor), model.config
    if getattr(config, "problem_type", None) == "multi_label_classification":
        options = {"output": "independent-logits"} | options
    options = bounded(front.seconds, str(folder_or_id), options)
    labels = [name for _, name in sorted(config.id2label.items())]
    return from_torch(model, labels, extractor.sampling_rate, front_end=front, **options)


def _load(name: str) -> tuple[Any, Any]:
    """Model and feature extractor of a folder or an id."""
    try:
        import torch
        import transformers
    except ImportError:
        raise AudexError(
            "Hugging Face models need PyTorch and transformers: pip install 'audex-jax[huggingface]'"
        ) from None
    if pathlib.Path(name).exists() and not (pathlib.Path(name) / "config.json").is_file():
        raise AudexError(f"{name}: no config.json there; give the folder that save_pretrained wrote")
    safe = {"trust_remote_code": False}  # runs no code that comes with a model, and does not ask whether to
    config = _attempt(name, transformers.AutoConfig, safe)
    if type(config) not in transformers.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING:
        raise AudexError(
            f"{name}: a model of type {config.model_type!r}, which classifies no audio; give one for "
            "AutoModelForAudioClassification"
        )
    extractor = _attempt(name, transformers.AutoFeatureExtractor, safe)
    front_end(extractor)  # refused before the weights are read
    model, told = _attempt(
        name,
        transformers.AutoModelForAudioClassification,
        safe | {"dtype": torch.float32, "output_loading_info": True},
    )
    if missing := sorted(key for key in told["missing_keys"] if not key.endswith(UNUSED)):
        raise AudexError(
            f"{name}: the weights lack {missing[0]}, so this is not a trained classifier; give one that was "
            "fine-tuned for AutoModelForAudioClassification"
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), extractor


def _attempt(name: str, loader: Any, options: dict[str, Any]) -> Any:
    """What one of the library's loaders gives for a folder or an id."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", EMPTY)
            return loader.from_pretrained(name, **options)
    except Exception as error:  # each layer of the library raises its own kinds
        said = " ".join(str(error).split())[:200]
        if pathlib.Path(name).exists():
            raise AudexError(f"{name}: {loader.__name__} cannot load this folder ({said}); save it again") from error
        raise AudexError(
            f"{name}: no such folder, and the hub does not give a model of this id ({said}); download the model where "
            "there is network and give its folder"
        ) from error
