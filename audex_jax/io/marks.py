"""What the tool wrote, told from what it did not: every file that it writes holds a mark near its start or its end.

So nothing else is ever replaced, and outputs in a folder of recordings are not taken for recordings.
"""

import os
import pathlib
import re

from audex_jax.core.errors import AudexError
from audex_jax.io.files import FileError, is_regular, opened

MARK = "audex-jax"
NEAR = 2**16  # bytes at either end of a file that are searched
# what `audex explain` writes for a recording of the name in the first group
OUTPUT = re.compile(
    r"(.+)\.(?:json|png|pdf|svg|attribution\.npz|reconstruction\.wav|(?:explanation|residual)(?:-[\d.e+-]+)?\.wav)",
    re.DOTALL,
)


def marked(path: str | os.PathLike) -> bool:
    """Whether a file holds the mark of the tool, or nothing at all."""
    try:
        with opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            ends = file.read(NEAR)
            file.seek(max(0, size - NEAR))
            return not size or MARK.encode() in ends or MARK.encode() in file.read()
    except (FileError, OSError):
        return False


def is_explanation(path: str | os.PathLike) -> bool:
    """Whether a file is a sound that `audex explain` wrote, and so no recording to be explained or learnt from."""
    name = os.path.basename(os.fspath(path))
    return name.endswith(".wav") and OUTPUT.fullmatch(name) is not None and marked(path)


def must_not_replace(path: str | os.PathLike, *inputs: str | os.PathLike) -> None:
    """Check that a file may be written.

    Args:
        path: of the file.
        inputs: files that are read for it.

    Raises:
        AudexError: there is one that the tool did not write, something else than a file, or an input.
    """
    path = pathlib.Path(path)
    if not os.path.lexists(path):
        return
    if any(is_regular(given) and is_regular(path) and os.path.samefile(path, given) for given in inputs):
        raise AudexError(f"{path}: it is the input; choose another name for what is written")
    if path.is_dir() or not (is_regular(path) or path.is_symlink()):
        raise AudexError(f"{path}: not a regular file; choose another name for what is written")
    if not marked(path):
        raise AudexError(f"{path}: there is a file that audex did not write; move it away, or choose another name")
