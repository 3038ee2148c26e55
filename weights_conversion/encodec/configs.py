"""Configs of published checkpoints to `EncodecConfig` and back. What the port does not understand is refused."""

import dataclasses
import math
import re
from typing import Any

from audex_jax.codecs.encodec import PRESETS, EncodecConfig
from audex_jax.core.configs import faults_of
from audex_jax.core.errors import AudexError
from weights_conversion.errors import ConversionError
from weights_conversion.hugging_face import faults_of_fields

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
# without effect on an EnCodec with one residual layer
HUGGING_FACE_IGNORED = {"dilation_growth_rate", "initializer_range"}
MOST_LETTERS, MOST_REFERENCES = 2**20, 20  # of a config in YAML, and from one to the next
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
    known = {*HUGGING_FACE.values(), *HUGGING_FACE_IGNORED, "codebook_dim"}
    faults = faults_of_fields(fields, known, HUGGING_FACE_FIXED)
    width = fields.get("hidden_size", 128)
    if fields.get("codebook_dim") not in (None, width):
        faults.append(f"codebook_dim is {fields['codebook_dim']!r}, the port knows only that of hidden_size, {width}")
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
    sections = _sections(text, source)
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


def _sections(text: str, source: str) -> dict[str, dict[str, Any]]:
    """The sections of audiocraft's YAML that `AUDIOCRAFT` names, without aliases, references resolved."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML without aliases: a few lines of them stand for more than any memory holds."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("it has aliases")
            return super().compose_node(parent, index)

    try:
        if len(text) > MOST_LETTERS:
            raise ValueError(f"{len(text)} letters, more than {MOST_LETTERS}")
        tree = yaml.load(text, Loader)
        sections = {name: _resolved(tree[name], tree) for name in AUDIOCRAFT}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ConversionError(f"{source}: its config is not that of an audiocraft EnCodec ({why})") from None
    flat = [name for name, section in sections.items() if not isinstance(section, dict)]
    if flat:
        raise ConversionError(f"{source}: its config is not that of an audiocraft EnCodec ({', '.join(flat)})")
    return sections


def _resolved(node: Any, tree: dict) -> Any:
    """OmegaConf's `${a.b}` references to single values, which audiocraft's YAML may still hold."""
    if isinstance(node, dict):
        return {str(key): _resolved(value, tree) for key, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, tree) for value in node]
    for _ in range(MOST_REFERENCES):
        reference = re.fullmatch(r"\$\{([\w.]+)\}", node) if isinstance(node, str) else None
        if reference is None:
            return node
        node = tree
        for part in reference[1].split("."):
            node = node[part]
        if isinstance(node, dict | list):
            raise ValueError(f"{reference[0]} is no single value")
    raise ValueError("references without end")


def _checked(ours: dict[str, Any], faults: list[str], source: str) -> EncodecConfig:
    """A config out of fields that come from a file: each of the right type, or a fault."""
    norm, shortcut = ours.pop("norm", "weight_norm"), ours.pop("shortcut", True)
    faults = list(faults)
    if norm not in (*NORMS, "none"):
        faults.append(f"norm is {norm!r}, the port knows weight_norm and time_group_norm")
    for key in ("ratios", "bandwidths"):
        if key in ours:
            ours[key] = tuple(ours[key]) if isinstance(ours[key], list | tuple) else (ours[key],)
    faults += faults_of(EncodecConfig, ours)
    if not isinstance(shortcut, bool):
        faults.append(f"shortcut is {shortcut!r}, not true or false")
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    ours |= {"norm": NORMS.get(norm, "none"), "shortcut": "conv" if shortcut else "identity"}
    try:
        config = EncodecConfig(name="", **ours)
    except AudexError as error:
        raise ConversionError(f"{source}: {error}") from None
    if "codebooks" not in ours:  # as many as the largest bandwidth pays for
        bits = 1000 * config.bandwidths[-1]
        stages = int(bits // (math.ceil(config.frame_rate) * math.ceil(math.log2(config.codebook_size))))
        if not 1 <= stages <= 1024:
            raise ConversionError(f"{source}: its bandwidths {config.bandwidths} do not pay for 1 to 1024 codebooks")
        config = dataclasses.replace(config, codebooks=stages)
    return _named(config)


def _named(config: EncodecConfig) -> EncodecConfig:
    """The name of the published model with this config, or one made of its sample rate."""
    for preset in PRESETS.values():
        if dataclasses.replace(config, name=preset.name) == preset:
            return preset
    return dataclasses.replace(config, name=f"encodec-{config.sample_rate / 1000:g}khz-{config.filters}")
