"""Configs of published checkpoints to `MimiConfig` and back. What the port does not understand is refused."""

import dataclasses
from typing import Any

from audex_jax.codecs.mimi import PRESETS, MimiConfig
from audex_jax.core.configs import faults_of
from audex_jax.core.errors import AudexError
from weights_conversion.errors import ConversionError
from weights_conversion.hugging_face import faults_of_fields

# ours -> Hugging Face's `MimiConfig`; its defaults are ours
FIELDS = {
    "sample_rate": "sampling_rate",
    "channels": "audio_channels",
    "filters": "num_filters",
    "ratios": "upsampling_ratios",
    "kernel_size": "kernel_size",
    "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "compress": "compress",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "context": "sliding_window",
    "codebooks": "num_quantizers",
    "codebook_size": "codebook_size",
    "codebook_dim": "codebook_dim",
    "semantic_codebooks": "num_semantic_quantizers",
}
# must have this value: anything else is another network
FIXED = {
    "model_type": "mimi",
    "num_residual_layers": 1,
    "use_causal_conv": True,
    "pad_mode": "constant",
    "use_conv_shortcut": False,
    "trim_right_ratio": 1.0,
    "hidden_act": "gelu",
    "norm_eps": 1e-5,
    "attention_bias": False,
    "normalize": False,
    "rope_scaling": None,
}
# first values, what only training or streaming reads, what has no effect with one residual layer
IGNORED_FIELDS = {
    "attention_dropout", "dilation_growth_rate", "initializer_range", "layer_scale_initial_scale",
    "max_position_embeddings", "use_streaming",
}  # fmt: skip
ROPE = {"rope_type": "default"}


def from_hugging_face(fields: dict[str, Any], source: str) -> MimiConfig:
    """The config of a `config.json` as `transformers` writes it.

    Raises:
        ConversionError: a field is unknown or asks for what the port does not do; lists all of them.
    """
    ours = {name: fields[theirs] for name, theirs in FIELDS.items() if theirs in fields}
    ours.setdefault("sample_rate", 24_000)
    rope = fields.get("rope_parameters") or {}
    rope = rope if isinstance(rope, dict) else {"rope_type": rope}
    bases = [value for value in (fields.get("rope_theta"), rope.get("rope_theta")) if value is not None]
    if bases:
        ours["rope_base"] = bases[0]
    if isinstance(ours.get("ratios"), list):
        ours["ratios"] = tuple(ours["ratios"])
    derived = {"head_dim", "num_key_value_heads", "vector_quantization_hidden_dimension", "upsample_groups"}
    known = {*FIELDS.values(), *IGNORED_FIELDS, *derived, "frame_rate", "rope_theta", "rope_parameters"}
    faults = faults_of_fields(fields, known, FIXED) + faults_of(MimiConfig, ours)
    faults += [f"{key} is {rope[key]!r}, not {value!r}" for key, value in ROPE.items() if rope.get(key, value) != value]
    faults += [f"{key} is unknown in rope_parameters" for key in sorted(rope.keys() - {*ROPE, "rope_theta"})]
    if len(set(map(repr, bases))) > 1:
        faults.append(f"rope_theta is {bases[0]!r} and {bases[1]!r}")
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    try:
        config = MimiConfig(name="", **ours)
    except AudexError as error:
        raise ConversionError(f"{source}: {error}") from None
    follows = _follows(config) | {"_frame_rate": config.frame_rate, "rope_theta": config.rope_base}
    faults = [
        f"{key} is {fields[key]!r}, the port knows only what follows from the other fields, {value!r}"
        for key, value in follows.items()
        if fields.get(key) not in (None, value)
    ]
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    return _named(config)


def to_hugging_face(config: MimiConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """`config.json` and `preprocessor_config.json` for `transformers`."""
    model = {theirs: getattr(config, name) for name, theirs in FIELDS.items()} | FIXED | _follows(config)
    model |= {"architectures": ["MimiModel"], "rope_theta": config.rope_base}
    model |= {"rope_parameters": ROPE | {"rope_theta": config.rope_base}}
    for absent in ("normalize", "rope_scaling"):
        del model[absent]
    features = {
        "feature_extractor_type": "EncodecFeatureExtractor",
        "feature_size": config.channels,
        "sampling_rate": config.sample_rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
        "chunk_length_s": None,
        "overlap": None,
    }
    return model, features


def _follows(config: MimiConfig) -> dict[str, Any]:
    """Fields that the port has no choice in: they follow from the others."""
    return {
        "head_dim": config.width // config.heads,
        "num_key_value_heads": config.heads,
        "vector_quantization_hidden_dimension": config.codebook_dim,
        "upsample_groups": config.width,
        "frame_rate": config.frame_rate,
    }


def _named(config: MimiConfig) -> MimiConfig:
    """The name of the published model with this config, or one made of its sample rate."""
    for preset in PRESETS.values():
        if dataclasses.replace(config, name=preset.name) == preset:
            return preset
    return dataclasses.replace(config, name=f"mimi-{config.sample_rate / 1000:g}khz-{config.filters}")
