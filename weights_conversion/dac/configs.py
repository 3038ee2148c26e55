"""Configs of published DACs to `DacConfig` and back. What the port does not understand is refused."""

import dataclasses
import math
from typing import Any

from audex_jax.codecs.dac import PRESETS, DacConfig
from audex_jax.core.configs import faults_of
from audex_jax.core.errors import AudexError
from weights_conversion.errors import ConversionError
from weights_conversion.hugging_face import faults_of_fields

# ours -> Hugging Face's `DacConfig`, and the `metadata.kwargs` of Descript's files
HUGGING_FACE = {
    "sample_rate": "sampling_rate",
    "filters": "encoder_hidden_size",
    "strides": "downsampling_ratios",
    "dim": "hidden_size",
    "decoder_filters": "decoder_hidden_size",
    "codebooks": "n_codebooks",
    "codebook_size": "codebook_size",
    "codebook_dim": "codebook_dim",
}
DESCRIPT = {
    "sample_rate": "sample_rate",
    "filters": "encoder_dim",
    "strides": "encoder_rates",
    "dim": "latent_dim",
    "decoder_filters": "decoder_dim",
    "codebooks": "n_codebooks",
    "codebook_size": "codebook_size",
    "codebook_dim": "codebook_dim",
}
HUGGING_FACE_FIXED = {"model_type": "dac"}
# follow from the others, or are read by training only
HUGGING_FACE_DERIVED = {"upsampling_ratios", "hop_length"}
TRAINING = {"quantizer_dropout", "commitment_loss_weight", "codebook_loss_weight"}


def from_hugging_face(fields: dict[str, Any], source: str) -> DacConfig:
    """The config of a `config.json` as `transformers` writes it.

    Raises:
        ConversionError: a field is unknown or asks for what the port does not do; lists all of them.
    """
    faults = faults_of_fields(fields, {*HUGGING_FACE.values(), *HUGGING_FACE_DERIVED, *TRAINING}, HUGGING_FACE_FIXED)
    given = {"sampling_rate": 16_000} | fields  # the default of `transformers`
    ours = {name: given[theirs] for name, theirs in HUGGING_FACE.items() if theirs in given}
    return _checked(ours, faults, source, {key: fields.get(key) for key in HUGGING_FACE_DERIVED})


def to_hugging_face(config: DacConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """`config.json` and `preprocessor_config.json` for `transformers`."""
    model = {theirs: getattr(config, name) for name, theirs in HUGGING_FACE.items()}
    model |= {"upsampling_ratios": config.strides[::-1], "hop_length": config.hop}
    model |= HUGGING_FACE_FIXED | {"architectures": ["DacModel"]}
    features = {
        "feature_extractor_type": "DacFeatureExtractor",
        "feature_size": 1,
        "sampling_rate": config.sample_rate,
        "hop_length": config.hop,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": True,
    }
    return model, features


def from_descript(content: dict, source: str) -> tuple[dict, DacConfig] | None:
    """State and config of Descript's `weights_*.pth`; None if it is none of them.

    Raises:
        ConversionError: as for `from_hugging_face`.
    """
    state, metadata = content.get("state_dict"), content.get("metadata")
    if not isinstance(state, dict) or not isinstance(metadata, dict) or not isinstance(metadata.get("kwargs"), dict):
        return None
    fields = {str(key): value for key, value in metadata["kwargs"].items()}
    if not fields.keys() & {"encoder_dim", "encoder_rates"}:
        return None
    known = {*DESCRIPT.values(), "decoder_rates", "quantizer_dropout"}
    faults = [f"{key} is unknown" for key in sorted(fields.keys() - known)]
    given = {"sample_rate": 44_100} | fields  # the default of Descript's class
    ours = {name: given[theirs] for name, theirs in DESCRIPT.items() if given.get(theirs) is not None}
    entries = ours.get("codebook_dim")
    if isinstance(entries, list | tuple) and entries and len(set(map(repr, entries))) == 1:
        ours["codebook_dim"] = entries[0]
    return state, _checked(ours, faults, source, {"decoder_rates": fields.get("decoder_rates")})


def _checked(ours: dict[str, Any], faults: list[str], source: str, derived: dict[str, Any]) -> DacConfig:
    """A config out of fields that come from a file: each of the right type, or a fault.

    Args:
        ours: fields under our names.
        faults: what is wrong with others.
        source: named in errors.
        derived: fields that the others determine: strides in the decoder's order, or the hop; None if not given.
    """
    if isinstance(ours.get("strides"), list | tuple):
        ours["strides"] = tuple(ours["strides"])
    faults = faults + faults_of(DacConfig, ours)
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    filters, strides = ours.get("filters", DacConfig.filters), ours.get("strides", DacConfig.strides)
    ours.setdefault("dim", min(filters << min(len(strides), 32), 2**31))
    for key, value in derived.items():
        wanted = math.prod(strides) if key == "hop_length" else list(strides[::-1])
        if value is not None and (list(value) if isinstance(value, tuple) else value) != wanted:
            faults.append(f"{key} is {value!r}, the port knows only {wanted!r} with strides {list(strides)}")
    if faults:
        raise ConversionError.of(source, "the port does not understand its config", faults)
    try:
        config = DacConfig(name="", **ours)
    except AudexError as error:
        raise ConversionError(f"{source}: {error}") from None
    for preset in PRESETS.values():
        if dataclasses.replace(config, name=preset.name) == preset:
            return preset
    return dataclasses.replace(config, name=f"dac-{config.sample_rate / 1000:g}khz-{config.filters}")
