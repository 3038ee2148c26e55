"""What the content of a folder depends on, kept in it: work that was stopped goes on as it was begun, or not at all."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from audex_jax.core.errors import AudexError, listing
from audex_jax.io.atomic import replacing
from audex_jax.io.files import FileError, json_object, json_text

NAME = "identity.json"


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested objects by dotted names.

    >>> flat({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """One clause for each leaf in which two nested objects differ.

    >>> differences({"settings": {"width": 128}}, {"settings": {"width": 64}})
    ['settings.width: 128 there, 64 now']
    """
    old, new = flat(there), flat(here)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [f"{key}: {old.get(key)} there, {new.get(key)} now" for key in changed]


def claim(folder: pathlib.Path, identity: Mapping[str, Any], what: str) -> None:
    """Say in a folder what its content depends on, or see that it says the same.

    Args:
        folder: is made if it is not there.
        identity: a JSON object.
        what: that the folder holds, for the error.

    Raises:
        AudexError: the folder says something else, or not readably.
    """
    path, wanted = folder / NAME, json.loads(json_text(identity))
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json_text(wanted, indent=2) + "\n", encoding="utf-8")
        return
    try:
        faults = differences(json_object(path), wanted)
    except FileError as error:
        faults = [str(error)]
    if faults:
        raise AudexError(f"{folder}: {what} of other settings; run as then, or delete this folder: {listing(faults)}")
