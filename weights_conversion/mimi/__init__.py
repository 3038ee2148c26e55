"""Mimi's checkpoints: Hugging Face's folders, and Kyutai's `tokenizer-*.safetensors`.

Canonical is the naming of Hugging Face's files. The two differ in more than names: Kyutai keeps query, key and value in
one matrix, and rotates neighbouring elements of a head, Hugging Face and we those that are half a head apart. So the
rows of query and key change places within each head: x0 y0 x1 y1 ... become x0 x1 ... y0 y1 ...
"""

import numpy as np

from audex_jax.codecs.mimi import PRESETS, Mimi, MimiConfig
from weights_conversion.engine import Tensor, Tensors
from weights_conversion.family import Family, Published
from weights_conversion.mimi import configs, names


def rearrange(tensors: Tensors, config: MimiConfig) -> Tensors:
    """Kyutai's fused projections as three, with the rows of query and key where Hugging Face has them."""
    found = dict(tensors)
    fused = ".in_proj.weight"
    for name in [name for name in tensors if name.endswith(fused)]:
        label, values = tensors[name]
        three = [f"{name.removesuffix(fused)}.{part}_proj.weight" for part in "qkv"]
        if values.ndim != 2 or len(values) % (6 * config.heads) or found.keys() & {*three}:
            continue  # reported as left over
        del found[name]
        query, key, value = np.split(values, 3)
        parts = (halves(query, config.heads), halves(key, config.heads), value)
        found |= {part: Tensor(label, rows) for part, rows in zip(three, parts, strict=True)}
    return found


def halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """The even rows of each head, and behind them the odd ones.

    >>> halves(np.array([[0, 1, 2, 3, 10, 11, 12, 13]]).T, heads=2).T
    array([[ 0,  2,  1,  3, 10, 12, 11, 13]])
    """
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def outgoing(tensors: dict[str, np.ndarray], config: MimiConfig) -> dict[str, np.ndarray]:
    """With the marks that the codebooks have been trained; their statistics are lost: every entry was used once."""
    stems = [name.removesuffix(".embed_sum") for name in tensors if name.endswith(".embed_sum")]
    return tensors | {f"{stem}.initialized": np.ones(1) for stem in stems}


FAMILY = Family(
    codec=Mimi,
    model_type="mimi",
    published=(Published(PRESETS["mimi-24khz"], "kyutai/mimi", "CC-BY-4.0"),),
    from_hugging_face=configs.from_hugging_face,
    to_hugging_face=configs.to_hugging_face,
    table=lambda config: names.TABLE,
    paths=names.PATHS,
    renames=names.RENAMES,
    ignored=names.IGNORED,
    rearrange=rearrange,
    outgoing=outgoing,
)
