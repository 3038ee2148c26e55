"""XLA's persistent compilation cache, so that only the first run of a program waits for the compiler."""

import math
import os
import pathlib
import tempfile

import jax


def cache_folder() -> pathlib.Path | None:
    """Where compiled programs are kept: the one that JAX was told, `$AUDEX_CACHE`, or below the user's cache folder.

    None where the user has no home.
    """
    told = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    told = told or os.environ.get("AUDEX_CACHE")
    if told:
        return pathlib.Path(told)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return pathlib.Path(base or pathlib.Path.home() / ".cache") / "audex_jax" / "xla"
    except RuntimeError:
        return None


def use_compilation_cache() -> None:
    """Keep compiled programs in `$AUDEX_CACHE`, or `audex_jax/xla` below the user's cache folder.

    A cache that was configured otherwise (`JAX_COMPILATION_CACHE_DIR`) is left alone. A folder that cannot be written
    is read; one that cannot be made costs compile time and nothing else.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return
    directory = cache_folder()
    if directory is None:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    least = 0.3 if _writable(directory) else math.inf  # seconds of compiling from which a program is kept
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def _writable(directory: pathlib.Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False
