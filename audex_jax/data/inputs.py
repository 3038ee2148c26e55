"""Which recordings a command's inputs stand for, and how their outputs are named."""

import pathlib
from collections.abc import Sequence

from audex_jax.data.folder import audio_files
from audex_jax.io.audio import AudioError

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
            files = audio_files(path)
            if not files:
                raise AudioError(f"{path}: no audio in this folder; expected WAV, FLAC, OGG or MP3 files")
            found += files
        elif path.exists():
            found.append(path)
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
