"""What an evaluation has scored so far, on disk, so that one that was stopped goes on."""

import json
import pathlib
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from audex_jax.io.atomic import replacing
from audex_jax.io.files import FileError, content, is_regular, opened


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
        path, text = folder / "identity.json", json.dumps(identity)
        if folder.exists() and not (is_regular(path) and content(path) == text.encode()):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

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
            with replacing(self.folder / f"{first:06d}.npz") as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **block)
