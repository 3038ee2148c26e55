"""Which recordings a command's inputs stand for, and how their outputs are named."""

import hashlib
import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Collection, Sequence

from audex_jax.core.errors import AudioError
from audex_jax.data.listing import audio_files, list_recordings
from audex_jax.io.files import FileError, is_regular, json_object
from audex_jax.io.marks import OUTPUT, marked

LONGEST_NAME = 180  # bytes; file systems take 255, and what is behind a name takes up to 40
DEMO = pathlib.Path(__file__).parents[1] / "models" / "demo"


def demo_clips() -> list[pathlib.Path]:
    """The recordings that come with the package, of Speech Commands; one, whose name ends in `fails`, fails."""
    return audio_files(DEMO)


def list_inputs(inputs: Sequence[str]) -> list[pathlib.Path]:
    """Recordings that `inputs` stand for, each once: files, all below folders, `demo` for the bundled clips.

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
    return list({os.path.realpath(path): path for path in reversed(found)}.values())[::-1]


def output_names(paths: Sequence[pathlib.Path], out: pathlib.Path) -> dict[pathlib.Path, str]:
    """A name in the folder `out` for the outputs of each input: its stem, with its folder or a number if that is taken.

    A name is taken by another input, by files that are inputs or that the tool did not write, and by the explanation of
    another recording. Stems that are too long for a file system are shortened.
    """
    inputs = {os.path.realpath(path) for path in paths}
    taken = {name for name, files in _outputs(out).items() if any(_foreign(path, inputs) for path in files)}
    stems = Counter(path.stem for path in paths)
    names: dict[pathlib.Path, str] = {}
    for path in paths:
        longer = _short(f"{path.absolute().parent.name}-{path.stem}".lstrip("-"))
        numbered = (f"{longer}-{number}" for number in itertools.count(2))
        first = [_short(path.stem)] if stems[path.stem] == 1 else []
        free = (name for name in (*first, longer) if name not in taken and _is_of(out / f"{name}.json", path))
        more = (name for name in numbered if name not in taken and _is_of(out / f"{name}.json", path))
        names[path] = next(itertools.chain(free, more))
        taken.add(names[path])
    return names


def _outputs(out: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Files in a folder that are called like outputs, by the name that they were given."""
    found: dict[str, list[pathlib.Path]] = {}
    for entry in os.scandir(out) if out.is_dir() else ():
        named = OUTPUT.fullmatch(entry.name)
        if named:
            found.setdefault(named[1], []).append(pathlib.Path(entry.path))
    return found


def _foreign(path: pathlib.Path, inputs: Collection[str]) -> bool:
    return os.path.realpath(path) in inputs or not marked(path)


def _is_of(record: pathlib.Path, path: pathlib.Path) -> bool:
    """Whether a record is that of a recording, or not there."""
    try:
        return not os.path.lexists(record) or json_object(record).get("address") == os.fsdecode(os.path.abspath(path))
    except FileError:
        return False


def _short(name: str) -> str:
    """A name of at most `LONGEST_NAME` bytes; of longer ones the start, and a hash of all of it."""
    whole = os.fsencode(name)
    if len(whole) <= LONGEST_NAME:
        return name
    start = whole[: LONGEST_NAME - 9].decode("utf-8", "ignore") or "recording"
    return f"{start}-{hashlib.sha256(whole).hexdigest()[:8]}"
