"""Configs of published checkpoints to `EncodecConfig` and back. What the port does not understand is refused."""

import dataclasses
import math
import re
from typing import Any

from audex_jax.codecs.encodec import PRESETS, EncodecConfig
from weights_conversion.errors import ConversionError

# ours -> Hugging Face's `EncodecConfig`
HUGGING_FACE = {
    "sample_rate": "sampling_rate",
    "channels": "audio_channels",
    "filters": "num_filters",
    "ratios": "upsampling_ratios",
    "dim": "hidden_size",
    "lstm_layers": "num_lstm_layers",
    "kernel_size": "kernel_size",
    "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "compress": "compress",
    "norm": "norm_type",
    "causal": "use_causal_conv",
    "shortcut": "use_conv_shortcut",
    "pad_mode": "pad_mode",
    "codebook_size": "codebook_size",
    "bandwidths": "target_bandwidths",
    "normalize": "normalize",
    "segment_seconds": "chunk_length_s",
    "overlap": "overlap",
}
# Hugging Face's defaults where they are not ours
HUGGING_FACE_DEFAULTS = {"sampling_rate": 24_000, "norm_type": "weight_norm", "use_conv_shortcut": True}
# must have this value: anything else is another network
HUGGING_FACE_FIXED = {"model_type": "encodec", "num_residual_layers": 1, "trim_right_ratio": 1.0}
# without effect on an EnCodec with one residual layer, or not about the network
HUGGING_FACE_IGNORED = {
    "_name_or_path",
    "architectures",
    "auto_map",
    "chunk_size_feed_forward",
    "dilation_growth_rate",
    "dtype",
    "id2label",
    "initializer_range",
    "is_encoder_decoder",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "torch_dtype",
    "transformers_version",
}
NORMS = {"weight_norm": "none", "time_group_norm": "group"}

# audiocraft: section -> key -> ours; None: only training reads it
AUDIOCRAFT = {
    "encodec": {"sample_rate": "sample_rate", "renormalize": "normalize", "renorm": None},
    "seanet": {
        "dimension": "dim",
        "channels": "channels",
        "causal": "causal",
        "n_filters": "filters",
        "ratios": "ratios",
        "norm": "norm",
        "kernel_size": "kernel_size",
        "residual_kernel_size": "residual_kernel_size",
        "last_kernel_size": "last_kernel_size",
        "dilation_base": None,  # has no effect with one residual layer
        "pad_mode": "pad_mode",
        "true_skip": "shortcut",
        "compress": "compress",
        "lstm": "lstm_layers",
    },
    "rvq": {
        "n_q": "codebooks",
        "bins": "codebook_size",
        "q_dropout": None,
        "decay": None,
        "kmeans_init": None,
        "kmeans_iters": None,
        "threshold_ema_dead_code": None,
        "orthogonal_reg_weight": None,
        "orthogonal_reg_active_codes_only": None,
        "orthogonal_reg_max_codes": None,
    },
}
AUDIOCRAFT_FIXED = {
    "encodec": {"autoencoder": "seanet", "quantizer": "rvq"},
    "seanet": {
        "n_residual_layers": 1,
        "activation": "ELU",
        "activation_params": {"alpha": 1.0},
        "norm_params": {},
        "disable_norm_outer_blocks": 0,
        "encoder": {},
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
    },
    "rvq": {},
}


def from_hugging_face(fields: dict[str, Any], source: str) -> EncodecConfig:
    """The config of a `config.json` as `transformers` writes it.

    Raises:
        ConversionError: a field is unknown or asks for what the port does not do; lists all of them.
    """
    kind = fields.get("model_type", "encodec")
    if kind != "encodec":
        raise ConversionError(f"{source}: it describes a model of type {kind!r}; only encodec can be converted")
    faults = [
        f"{key} is {fields[key]!r}, the port knows only {value!r}"
        for key, value in HUGGING_FACE_FIXED.items()
        if fields.get(key, value) != value
    ]
    width = fields.get("hidden_size", 128)
    if fields.get("codebook_dim") not in (None, width):
        faults.append(f"codebook_dim is {fields['codebook_dim']!r}, the port knows only that of hidden_size, {width}")
    known = {*HUGGING_FACE.values(), *HUGGING_FACE_FIXED, *HUGGING_FACE_IGNORED, "codebook_dim"}
    faults += [f"{key} is unknown" for key in sorted(fields.keys() - known)]
    given = HUGGING_FACE_DEFAULTS | fields
    ours = {name: given[theirs] for name, theirs in HUGGING_FACE.items() if theirs in given}
    if ours.get("overlap") is None:
        ours.pop("overlap", None)
        if ours.get("segment_seconds") is not None:
            faults.append("chunk_length_s is given without overlap")
    return _checked(ours, faults, source)


def to_hugging_face(config: EncodecConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """`config.json` and `preprocessor_config.json` for `transformers`."""
    norms = {ours: theirs for theirs, ours in NORMS.items()}
    model = {theirs: getattr(config, name) for name, theirs in HUGGING_FACE.items()}
    model |= {"norm_type": norms[config.norm], "use_conv_shortcut": config.shortcut == "conv"}
    model |= HUGGING_FACE_FIXED | {"architectures": ["EncodecModel"], "codebook_dim": config.dim}
    model["overlap"] = config.overlap if config.segment_seconds is not None else None
    features = {
        "feature_extractor_type": "EncodecFeatureExtractor",
        "feature_size": config.channels,
        "sampling_rate": config.sample_rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
        "chunk_length_s": config.segment_seconds,
        "overlap": model["overlap"],
    }
    return model, features


def from_audiocraft(text: str, source: str) -> EncodecConfig:
    """The config that audiocraft stores in its checkpoints (`xp.cfg`, YAML text).

    Raises:
        ConversionError: as for `from_hugging_face`.
    """
    import yaml

    try:
        tree = yaml.safe_load(text)
        sections = {name: _resolved(tree[name], tree) for name in AUDIOCRAFT}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConversionError(f"{source}: its config is not that of an audiocraft EnCodec ({error!r})") from None
    ours: dict[str, Any] = {}
    faults = []
    for name, section in sections.items():
        for key, value in section.items():
            where = f"{name}.{key}"
            if key in AUDIOCRAFT_FIXED[name]:
                if value != AUDIOCRAFT_FIXED[name][key]:
                    faults.append(f"{where} is {value!r}, the port knows only {AUDIOCRAFT_FIXED[name][key]!r}")
            elif key in AUDIOCRAFT[name]:
                if AUDIOCRAFT[name][key]:
                    ours[AUDIOCRAFT[name][key]] = value
            elif name == "encodec" and key in ("channels", "causal"):
                if value != sections["seanet"].get(key):
                    faults.append(f"{where} is {value!r}, seanet.{key} is {sections['seanet'].get(key)!r}")
            else:
                faults.append(f"{where} is unknown")
    wanted = {field: f"{name}.{key}" for name, keys in AUDIOCRAFT.items() for key, field in keys.items() if field}
    faults += [f"{where} is missing" for field, where in wanted.items() if field not in ours and field != "normalize"]
    if isinstance(ours.get("shortcut"), bool):
        ours["shortcut"] = not ours["shortcut"]  # audiocraft's true_skip is the identity
    config = _checked(ours | {"bandwidths": [1.0]}, faults, source)
    stages = [config.codebooks]
    if sections["rvq"].get("q_dropout"):
        stages = sorted({2**i for i in range(config.codebooks.bit_length())} | {config.codebooks})
    bandwidths = tuple(round(n * config.bandwidth_per_codebook, 6) for n in stages)
    return _named(dataclasses.replace(config, bandwidths=bandwidths))


def differences(one: EncodecConfig, other: EncodecConfig) -> list[str]:
    """One line a field in which the first config differs from the second."""
    return [
        f"{field.name} is {getattr(one, field.name)!r}, not {getattr(other, field.name)!r}"
        for field in dataclasses.fields(EncodecConfig)
        if field.name != "name" and getattr(one, field.name) != getattr(other, field.name)
    ]


def _resolved(node: Any, tree: dict) -> Any:
    """OmegaConf's `${a.b}` references, which audiocraft's YAML may still hold."""
    if isinstance(node, dict):
        return {key: _resolved(value, tree) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, tree) for value in node]
    reference = re.fullmatch(r"\$\{([\w.]+)\}", node) if isinstance(node, str) else None
    if reference is None:
        return node
    value: Any = tree
    for part in reference[1].split("."):
        value = value[part]
    return _resolved(value, tree)


def _checked(ours: dict[str, Any], faults: list[str], source: str) -> EncodecConfig:
    """A config out of fields that come from a file: each of the right type, or a fault."""
    norm, shortcut = ours.pop("norm", "weight_norm"), ours.pop("shortcut", True)
    faults = list(faults)
    if norm not in (*NORMS, "none"):
        faults.append(f"norm is {norm!r}, the port knows weight_norm and time_group_norm")
    if ours.get("pad_mode", "reflect") not in ("reflect", "constant"):
        faults.append(f"pad_mode is {ours['pad_mode']!r}, the port knows reflect and constant")
    for key in ("ratios", "bandwidths"):
        if key in ours:
            ours[key] = tuple(ours[key]) if isinstance(ours[key], list | tuple) else (ours[key],)
    for key, value in ours.items():
        faults += _type_fault(key, value)
    if not isinstance(shortcut, bool):
        faults.append(f"shortcut is {shortcut!r}, not true or false")
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    ours |= {"norm": NORMS.get(norm, "none"), "shortcut": "conv" if shortcut else "identity"}
    config = EncodecConfig(name="", **ours)
    if "codebooks" not in ours:  # as many as the largest bandwidth pays for
        bits = 1000 * config.bandwidths[-1]
        stages = int(bits // (math.ceil(config.frame_rate) * math.ceil(math.log2(config.codebook_size))))
        if stages < 1:
            raise ConversionError(f"{source}: its bandwidths {config.bandwidths} do not pay for one codebook")
        config = dataclasses.replace(config, codebooks=stages)
    return _named(config)


def _type_fault(key: str, value: Any) -> list[str]:
    def number(x: Any, kind: type | tuple) -> bool:
        return isinstance(x, kind) and not isinstance(x, bool) and x > 0

    if key in ("causal", "normalize"):
        good, wanted = isinstance(value, bool), "true or false"
    elif key == "pad_mode":
        good, wanted = True, ""
    elif key in ("ratios", "bandwidths"):
        kind = int if key == "ratios" else (int, float)
        good, wanted = bool(value) and all(number(x, kind) for x in value), "a list of positive numbers"
    elif key == "segment_seconds":
        good, wanted = value is None or number(value, (int, float)), "a positive number or nothing"
    elif key == "overlap":
        good, wanted = value == 0 or (number(value, (int, float)) and value < 1), "a number from 0 to below 1"
    else:
        good, wanted = number(value, int), "a positive whole number"
    return [] if good else [f"{key} is {value!r}, not {wanted}"]


def _named(config: EncodecConfig) -> EncodecConfig:
    """The name of the published model with this config, or one made of its sample rate."""
    for preset in PRESETS.values():
        if dataclasses.replace(config, name=preset.name) == preset:
            return preset
    return dataclasses.replace(config, name=f"encodec-{config.sample_rate / 1000:g}khz-{config.filters}")
