"""Codecs out of checkpoints: whose they are, what shape they have, their weights."""

import dataclasses
import functools
from typing import Any

from audex_jax.bundles import module_from
from audex_jax.core.errors import AudexError
from weights_conversion.engine import Target, Tensors, canonical, fill, misfits, targets_of
from weights_conversion.errors import ConversionError
from weights_conversion.family import Family, families, family_of, published
from weights_conversion.sources import Source


def convert_codec(source: Source, model: str = "auto") -> Any:
    """A codec out of a published checkpoint.

    Args:
        source: what `sources.read` returned.
        model: a name in `family.published`, or `"auto"`: see `recognise`.

    Raises:
        ConversionError: the config is not understood or is not that of `model`, or tensors are missing, left over,
            of the wrong shape or type, or not finite; lists all of them.
    """
    family, config = recognise(source, model)
    tensors, faults = canonical(source.tensors, family.renames)
    arrays = fill(source.name, codec_targets(config), family.rearrange(tensors, config), faults, family.ignored)
    return module_from(lambda: family.codec(config, rngs=None), arrays, source.name)


def recognise(source: Source, model: str = "auto") -> tuple[Family, Any]:
    """The family and the config of a checkpoint.

    Args:
        source: what `sources.read` returned.
        model: a published model; `"auto"` for what the source's own config says or, if it has none, for the published
            model with the same tensors: the nearest one, if none fits, so that an error can say why.

    Raises:
        ConversionError: no such model, or the source's own config is another.
    """
    known = published()
    if model != "auto" and model not in known:
        raise ConversionError(f"there is no published model {model!r}; choose auto or one of {', '.join(known)}")
    if model == "auto":
        config = source.config or _nearest(source)
        return family_of(config), config
    wanted = known[model].config
    if source.config is not None and source.config != wanted:
        raise ConversionError.of(
            source.name,
            f"its own config is not that of {model}; leave --model out to convert what the file says",
            differences(source.config, wanted),
        )
    return family_of(wanted), wanted


def _nearest(source: Source) -> Any:
    """The config of the published model that most tensors fit."""
    found = []
    for family in families().values():
        tensors, _ = canonical(source.tensors, family.renames)
        found += [(_faults(family, tensors, model.config), model.config) for model in family.published]
    return min(found, key=lambda pair: pair[0])[1]


def _faults(family: Family, tensors: Tensors, config: Any) -> int:
    """How many tensors do not fit a config."""
    try:
        rearranged = family.rearrange(tensors, config)
    except (AudexError, ValueError, KeyError):  # not the tensors of this family
        rearranged = tensors
    return len(misfits(codec_targets(config), rearranged, family.ignored))


@functools.cache
def codec_targets(config: Any) -> tuple[Target, ...]:
    """All arrays of a codec, with the tensors that they are made of."""
    family = family_of(config)
    return targets_of(lambda: family.codec(config, rngs=None), family.table(config), family.paths)


def differences(one: Any, other: Any) -> list[str]:
    """One line a field in which the first config differs from the second."""
    if type(one) is not type(other):
        return [f"it is a {type(one).__name__}, not a {type(other).__name__}"]
    return [
        f"{field.name} is {getattr(one, field.name)!r}, not {getattr(other, field.name)!r}"
        for field in dataclasses.fields(one)
        if field.name != "name" and getattr(one, field.name) != getattr(other, field.name)
    ]
