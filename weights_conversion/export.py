"""The way back: a codec as a folder that `from_pretrained` of `transformers` loads."""

import os
import pathlib
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from audex_jax.bundles import arrays_of
from audex_jax.io.atomic import replacing_folder
from audex_jax.io.files import json_text
from weights_conversion.convert import codec_targets
from weights_conversion.engine import tensors_of
from weights_conversion.errors import ConversionError
from weights_conversion.family import family_of


def export_codec(codec: Any, folder: str | os.PathLike) -> str:
    """Write `model.safetensors`, `config.json` and `preprocessor_config.json`, all of them or none.

    Returns:
        The class of `transformers` that loads them.

    Raises:
        ConversionError: the family has no such layout, the folder holds other things, or cannot be written.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConversionError(f"{folder}: it exists and is not empty; choose a new folder")
    model, features = family_of(codec.config).to_hugging_face(codec.config)
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
    return model["architectures"][0]


def hugging_face_tensors(codec: Any) -> dict[str, np.ndarray]:
    """All weights under Hugging Face's names and in PyTorch's layouts."""
    tensors = family_of(codec.config).outgoing(tensors_of(arrays_of(codec), codec_targets(codec.config)), codec.config)
    return {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
