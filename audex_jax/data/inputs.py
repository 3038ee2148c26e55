"""Which recordings a command's inputs stand for, and how their outputs are named."""

import pathlib
from collections.abc import Sequence

from audex_jax.data.listing import audio_files, list_recordings
from audex_jax.io.decode import AudioError
from audex_jax.io.files import is_regular

DEMO = pathlib.Path(__file__).parents[1] / "models" / "demo"


def demo_clips() -> list[pathlib.Path]:
    """The recordings that come with the package, spoken by a synthesiser."""
    return audio_files(DEMO)


def list_inputs(inputs: Sequence[str]) -> list[pathlib.Path]:
    """Recordings that `inputs` stand for: files, all recordings below folders, `demo` for the bundled clips.

    Raises:
        AudioError: an input that does not exist, or a folder without recordings.
    """
    found: list[pathlib.Path] = []
    for name in inputs:
        path = pathlib.Path(name)
        if name == "demo":
            found += demo_clips()
        elif path.is_dir():
            listing = list_recordings(path)
            listing.tell()
            if not listing.names:
                others = f" (left out: {listing.left_out()})" if listing.others else ""
                raise AudioError(f"{path}: no audio in this folder{others}; expected WAV, FLAC, OGG or MP3 files")
            found += [path / inside for inside in listing.names]
        elif is_regular(path):
            found.append(path)
        elif path.exists():
            raise AudioError(f"{path}: not a regular file but a pipe or a device; give a recording")
        else:
            raise AudioError(f"{path}: no such file or folder; check the path")
    return found


def output_names(paths: Sequence[pathlib.Path]) -> dict[pathlib.Path, str]:
    """A name for the outputs of each input: its stem, with its folder or a number where stems collide."""
    names: dict[pathlib.Path, str] = {}
    taken: set[str] = set()
    stems = [path.stem for path in paths]
    for path in paths:
        name = path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}-{path.stem}".lstrip("-")
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique)
        names[path] = unique
    return names
