"""The key of a study: which sound is which clip by which method. No JAX in here."""

import json
import os
import pathlib
from typing import Any

from audex_jax.core.errors import AudexError

KEY_NAME = "key.json"
PARTS = {"study", "plan", "labels", "clips", "sounds", "listeners"}


class StudyError(AudexError):
    """A study that cannot be made or scored; the message says what is wrong and what to do."""


def read_key(folder: str | os.PathLike) -> dict[str, Any]:
    """The key of the study in a folder.

    Raises:
        StudyError: none there.
    """
    path = pathlib.Path(folder) / KEY_NAME
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        key = None
    if not isinstance(key, dict) or not key.keys() >= PARTS:
        raise StudyError(f"{path}: not the key of a study; give the --out folder of audex study")
    return key
