"""The way back: a codec as a folder that `transformers.EncodecModel.from_pretrained` loads, a classifier as tensors."""

import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np
import safetensors
import safetensors.numpy

from audex_jax.bundles import arrays_of
from audex_jax.classifiers.transformer import LatentTransformer
from audex_jax.codecs.encodec import Encodec
from audex_jax.io.atomic import replacing_folder
from audex_jax.io.files import json_text
from weights_conversion import configs, names
from weights_conversion.convert import Target, classifier_targets, codec_targets
from weights_conversion.errors import ConversionError
from weights_conversion.transforms import unfold_weight_norm


def export_codec(codec: Encodec, folder: str | os.PathLike) -> None:
    """Write `model.safetensors`, `config.json` and `preprocessor_config.json`, all of them or none.

    Raises:
        ConversionError: the folder holds other things, or cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConversionError(f"{folder}: it exists and is not empty; choose a new folder")
    model, features = configs.to_hugging_face(codec.config)
    try:
        with replacing_folder(folder) as staging:
            safetensors.numpy.save_file(hugging_face_tensors(codec), staging / "model.safetensors", {"format": "pt"})
            (staging / "model.safetensors").chmod(0o644)
            for name, fields in (("config.json", model), ("preprocessor_config.json", features)):
                text = json_text(fields, indent=2, sort_keys=True)
                (staging / name).write_text(text + "\n", encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConversionError(f"{folder}: cannot write there ({reason}); nothing was kept") from None


def tensors_of(arrays: Mapping[str, np.ndarray], targets: Iterable[Target]) -> dict[str, np.ndarray]:
    """The tensors that our arrays came from, by each target's own way back."""
    tensors: dict[str, np.ndarray] = {}
    for target in targets:
        parts = target.transform.backward(np.asarray(arrays[target.path]))
        tensors |= dict(zip(target.tensors, parts, strict=True))
    return tensors


def hugging_face_tensors(codec: Encodec) -> dict[str, np.ndarray]:
    """All weights under Hugging Face's names and in PyTorch's layouts, weight norm unfolded where the config has it."""
    arrays = arrays_of(codec)
    tensors = tensors_of(arrays, codec_targets(codec.config))
    if codec.config.norm == "none":
        for name in [name for name in tensors if name.endswith(".conv.weight")]:
            g, v = unfold_weight_norm(tensors.pop(name))
            stem = name.removesuffix(".weight")
            tensors |= {f"{stem}{suffix}": a for suffix, a in zip(names.WEIGHT_NORMS[0], (g, v), strict=True)}
    for stage, book in enumerate(arrays["quantizer.codebooks"]):  # what training would need; its true values are gone
        prefix = f"quantizer.layers.{stage}.codebook"
        tensors |= {
            f"{prefix}.embed_avg": book,
            f"{prefix}.cluster_size": np.ones(len(book)),
            f"{prefix}.inited": np.ones(1),
        }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}


def classifier_tensors(classifier: LatentTransformer) -> dict[str, np.ndarray]:
    """All weights of a classifier under the authors' names and in PyTorch's layouts."""
    tensors = tensors_of(arrays_of(classifier), classifier_targets(classifier.config))
    return {
        name.replace(".in_proj.", ".in_proj_"): np.ascontiguousarray(array, np.float32)  # as `nn.MultiheadAttention`
        for name, array in tensors.items()
    }
