"""What an evaluation has scored so far, on disk, so that one that was stopped goes on."""

import os
import pathlib
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.io.atomic import write_json, write_npz
from audex_jax.io.files import FileError, content, json_text, opened
from audex_jax.io.marks import MARK, marked


class Scratch:
    """Blocks of scored clips; without a folder it keeps nothing."""

    def __init__(self, folder: pathlib.Path | None, identity: Mapping[str, Any]):
        """Open a folder; what it holds of another evaluation is deleted.

        Args:
            folder: where to keep blocks.
            identity: what the scores depend on, a JSON object.
        """
        self.folder = folder
        if folder is None:
            return
        path = folder / "identity.json"
        names = [name for name in os.listdir(folder) if not name.startswith(".")] if folder.exists() else []
        if names and not marked(path):
            raise AudexError(f"{folder}: it holds what audex did not write; move it away, or choose another --out")
        if names and content(path).decode("utf-8", "replace") != json_text({"made_by": MARK} | dict(identity)) + "\n":
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, identity)

    def load(self, first: int) -> dict[str, np.ndarray] | None:
        """The block that begins with clip `first`, if it is there."""
        if self.folder is None:
            return None
        try:
            with opened(self.folder / f"{first:06d}.npz") as file, np.load(file) as stored:
                return dict(stored)
        except (FileError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None  # not there, or damaged: it is scored again

    def save(self, first: int, block: Mapping[str, np.ndarray]) -> None:
        """Keep a block, whole or not at all."""
        if self.folder is not None:
            write_npz(self.folder / f"{first:06d}.npz", block, compressed=False, own=True)
