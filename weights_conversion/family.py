"""What one codec family knows of its published checkpoints, and finding the family of a checkpoint.

A file or folder here that has the name of a codec family (`audex_jax.codecs`) holds its `FAMILY`. Nothing else has to
know of it: `audex convert`, `export`, `models` and `doctor` ask `families()`.
"""

import functools
import importlib
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from audex_jax.core.registry import CODECS
from weights_conversion.engine import Row, Tensors
from weights_conversion.errors import ConversionError

HERE = pathlib.Path(__file__).parent


class Published(NamedTuple):
    """A model that somebody published.

    Attributes:
        config: ours; its name is the name of the model in `audex convert --model`.
        source: an id on the Hugging Face hub.
        licence: of the weights.
        revision: commit that is fetched from the hub; None for the newest.
    """

    config: Any
    source: str
    licence: str
    revision: str | None = None


class Family(NamedTuple):
    """How checkpoints of one codec family come in and go out.

    Attributes:
        codec: the class, with `config_class`, of `audex_jax.codecs`.
        model_type: what Hugging Face's `config.json` calls the family.
        published: the models that are known by name.
        from_hugging_face: our config of the fields of a `config.json`; told the source, for errors.
        to_hugging_face: `config.json` and `preprocessor_config.json` of our config.
        table: which of our arrays is which tensor, for a config.
        paths: our module paths -> those of the canonical naming, as patterns and replacements.
        renames: tensors' names in any dialect -> canonical names.
        ignored: patterns of tensors that the model has no place for, and why that is right.
        from_pickle: state and config of the content of a PyTorch file that carries a config of this family, else None;
            told the source, for errors.
        rearrange: tensors of a dialect that no renaming makes canonical, under canonical names.
        outgoing: canonical tensors of a config as Hugging Face has them.
    """

    codec: Any
    model_type: str
    published: tuple[Published, ...]
    from_hugging_face: Callable[[dict[str, Any], str], Any]
    to_hugging_face: Callable[[Any], tuple[dict[str, Any], dict[str, Any]]]
    table: Callable[[Any], Sequence[Row]]
    paths: Sequence[tuple[str, Any]]
    renames: Sequence[tuple[str, Any]]
    ignored: Sequence[tuple[str, str]] = ()
    from_pickle: Callable[[dict, str], tuple[dict, Any] | None] = lambda content, source: None
    rearrange: Callable[[Tensors, Any], Tensors] = lambda tensors, config: tensors
    outgoing: Callable[[dict[str, Any], Any], dict[str, Any]] = lambda tensors, config: tensors


@functools.cache
def families() -> dict[str, Family]:
    """The families of which checkpoints are read, by name."""
    names = [name for name in CODECS.names() if list(HERE.glob(f"{name}.py")) + list(HERE.glob(f"{name}/__init__.py"))]
    return {name: importlib.import_module(f"weights_conversion.{name}").FAMILY for name in names}


def published() -> dict[str, Published]:
    """All published models by name."""
    return {model.config.name: model for family in families().values() for model in family.published}


def family_of(config: Any) -> Family:
    """The family of a config.

    Raises:
        ConversionError: checkpoints of that family are not known.
    """
    found = next((family for family in families().values() if family.codec.config_class is type(config)), None)
    if found is None:
        raise ConversionError(
            f"{config.name}: of codecs of this family no checkpoints are known, only of {', '.join(families())}"
        )
    return found


def config_of(fields: dict[str, Any], source: str) -> Any:
    """The config of a `config.json`; without a `model_type` it is taken for an EnCodec's, as early ones were.

    Raises:
        ConversionError: it is of another family, or its family does not understand it.
    """
    kind = fields.get("model_type", "encodec")
    family = next((family for family in families().values() if family.model_type == kind), None)
    if family is None:
        known = ", ".join(sorted(family.model_type for family in families().values()))
        raise ConversionError(f"{source}: it describes a model of type {kind!r}; only {known} can be converted")
    return family.from_hugging_face(fields, source)
