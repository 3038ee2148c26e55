"""A process that was forked after JAX had started must not use JAX: without its threads it would wait for good."""

import os

from audex_jax.core.errors import AudexError

_started: list[int] = []  # the process in which JAX was first used


def must_not_be_forked() -> None:
    """Check that JAX may be used in this process, and remember that it was.

    Raises:
        AudexError: JAX was used before this process was forked off.
    """
    if not _started:
        _started.append(os.getpid())
    if _started[0] != os.getpid():
        raise AudexError(
            "this process was forked after JAX had started, and would wait for good; start processes with "
            "multiprocessing.get_context('spawn'), or load the model in them"
        )
