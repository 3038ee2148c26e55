"""EnCodec's checkpoints: Meta's `.th`, audiocraft's `compression_state_dict.bin`, Hugging Face's folders."""

import numpy as np

from audex_jax.codecs.encodec import PRESETS, Encodec, EncodecConfig
from weights_conversion.encodec import configs, names
from weights_conversion.engine import with_weight_norm
from weights_conversion.errors import ConversionError
from weights_conversion.family import Family, Published


def from_pickle(content: dict, source: str) -> tuple[dict, EncodecConfig] | None:
    """State and config of audiocraft's files; None if it is none of them."""
    if "best_state" not in content:
        return None
    if "xp.cfg" not in content:
        raise ConversionError(f"{source}: an audiocraft checkpoint without its config (xp.cfg); cannot be converted")
    return content["best_state"], configs.from_audiocraft(str(content["xp.cfg"]), source)


def outgoing(tensors: dict[str, np.ndarray], config: EncodecConfig) -> dict[str, np.ndarray]:
    """Weight norm unfolded where the config has it, and what training of the codebooks would need."""
    if config.norm == "none":
        tensors = with_weight_norm(tensors, ".conv.weight")
    for name in [name for name in tensors if name.endswith(".codebook.embed")]:
        stem, book = name.removesuffix(".embed"), tensors[name]  # the statistics' true values are gone
        extra = {"embed_avg": book, "cluster_size": np.ones(len(book)), "inited": np.ones(1)}
        tensors |= {f"{stem}.{key}": value for key, value in extra.items()}
    return tensors


FAMILY = Family(
    codec=Encodec,
    model_type="encodec",
    published=(
        Published(
            PRESETS["encodec-24khz"], "facebook/encodec_24khz", "MIT", "c1dbe2ae3f1de713481a3b3e7c47f357092ee040"
        ),
        Published(PRESETS["encodec-32khz"], "facebook/encodec_32khz", "none stated, MusicGen's is CC-BY-NC-4.0"),
        Published(PRESETS["encodec-48khz"], "facebook/encodec_48khz", "MIT"),
        Published(PRESETS["audiogen-16khz"], "facebook/audiogen-medium", "CC-BY-NC-4.0"),
    ),
    from_hugging_face=configs.from_hugging_face,
    to_hugging_face=configs.to_hugging_face,
    table=lambda config: names.TABLE,
    paths=names.PATHS,
    renames=names.RENAMES,
    ignored=names.IGNORED,
    from_pickle=from_pickle,
    outgoing=outgoing,
)
