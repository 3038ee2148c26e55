"""XLA's persistent compilation cache, so that only the first run of a program waits for the compiler."""

import os
import pathlib

import jax


def cache_folder() -> pathlib.Path:
    """Where compiled programs are kept: the one that JAX was told, `$AUDEX_CACHE`, or below the user's cache folder."""
    told = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(told or os.environ.get("AUDEX_CACHE") or pathlib.Path(base) / "audex_jax" / "xla")


def use_compilation_cache() -> None:
    """Keep compiled programs in `$AUDEX_CACHE`, or `audex_jax/xla` below the user's cache folder.

    A cache that was configured otherwise (`JAX_COMPILATION_CACHE_DIR`) is left alone; a folder that cannot be written
    costs compile time and nothing else.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return
    directory = cache_folder()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
