"""A small checkpoint in every dialect that is read."""

import json
import re

import numpy as np
import pytest
import safetensors.numpy

from audex_jax import bundles
from audex_jax.codecs.encodec.config import TINY
from weights_conversion import convert_codec, read
from weights_conversion.encodec import configs
from weights_conversion.export import hugging_face_tensors

Tensors = dict[str, np.ndarray]


@pytest.fixture
def tensors(codec_of) -> Tensors:
    """A Hugging Face checkpoint of the small model, weight norm as `weight_g` and `weight_v`; the scales are random."""
    rng = np.random.default_rng(5)
    tensors = hugging_face_tensors(codec_of(TINY))
    for name in tensors:
        if name.endswith("weight_g"):
            tensors[name] *= rng.uniform(0.5, 2.0, tensors[name].shape).astype(np.float32)
        if name.endswith("bias_hh_l0"):
            tensors[name] = rng.normal(size=tensors[name].shape).astype(np.float32)
    return tensors


@pytest.fixture
def folder(tmp_path, tensors):
    """The checkpoint on disk as the hub lays it out."""
    return write_folder(tmp_path / "hf", tensors)


def write_folder(folder, tensors: Tensors, shards: int = 1):
    """Tensors and config; several shards stand in an index."""
    folder.mkdir()
    names = [f"model-{n}.safetensors" for n in range(1, shards + 1)] if shards > 1 else ["model.safetensors"]
    parts = {name: dict(list(tensors.items())[n::shards]) for n, name in enumerate(names)}
    for name, part in parts.items():
        safetensors.numpy.save_file(part, folder / name)
    if shards > 1:
        index = {"weight_map": {tensor: name for name, part in parts.items() for tensor in part}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(configs.to_hugging_face(TINY)[0]))
    return folder


def parametrised(tensors: Tensors) -> Tensors:
    """Weight norm as newer versions of PyTorch name it."""
    replace = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {re.sub("weight_[gv]$", lambda m: replace[m[0]], name): a for name, a in tensors.items()}


def folded(tensors: Tensors) -> Tensors:
    """Weight norm carried out: of every entry of the first axis by itself."""
    plain = {name: a for name, a in tensors.items() if not re.search("weight_[gv]$", name)}
    for name in tensors:
        if name.endswith("weight_g"):
            g, v = (tensors[name[:-1] + kind].astype(np.float64) for kind in "gv")
            norm = np.array([np.linalg.norm(row) for row in v])[:, None, None]
            plain[name[:-2]] = (g * (v / norm)).astype(np.float32)
    return plain


def meta(tensors: Tensors) -> Tensors:
    """Names of Meta's and audiocraft's files; transposed convolutions are those at every third index from 3."""

    def rename(name):
        if name.startswith("quantizer"):
            return name.replace("quantizer.layers", "quantizer.vq.layers").replace(".codebook.", "._codebook.")
        half, _, index, rest = name.split(".", 3)
        last = max(int(n.split(".")[2]) for n in tensors if n.startswith(half) and n.split(".")[2].isdigit())
        transposed = half == "decoder" and rest.startswith("conv.") and 0 < int(index) < last
        twice = "convtr.convtr." if transposed else "conv.conv."
        return f"{half}.model.{index}." + re.sub(r"\bconv\.", twice, rest)

    return {rename(name): a for name, a in tensors.items()}


def changed(tensors: Tensors, changes: dict) -> Tensors:
    """With other tensors, and without those that are None."""
    return {name: a for name, a in (tensors | changes).items() if a is not None}


def weights(source) -> dict[str, bytes]:
    """What a source is converted to, to be compared bit for bit."""
    return {path: a.tobytes() for path, a in bundles.arrays_of(convert_codec(read(source))).items()}


AUDIOCRAFT = f"""
compression_model: encodec
sample_rate: {TINY.sample_rate}
channels: 1
encodec:
  {{autoencoder: seanet, quantizer: rvq, sample_rate: "${{sample_rate}}", channels: "${{channels}}", causal: true,
   renormalize: false}}
seanet:
  {{dimension: {TINY.dim}, channels: "${{channels}}", causal: "${{encodec.causal}}", n_filters: {TINY.filters},
   n_residual_layers: 1, ratios: {list(TINY.ratios)}, activation: ELU, activation_params: {{alpha: 1.0}},
   norm: weight_norm, norm_params: {{}}, kernel_size: 7, residual_kernel_size: 3, last_kernel_size: 7,
   dilation_base: 2, pad_mode: reflect, true_skip: false, compress: 2, lstm: {TINY.lstm_layers},
   disable_norm_outer_blocks: 0, encoder: {{}},
   decoder: {{trim_right_ratio: 1.0, final_activation: null, final_activation_params: null}}}}
rvq: {{n_q: {TINY.codebooks}, bins: {TINY.codebook_size}, q_dropout: true, decay: 0.99}}
"""
