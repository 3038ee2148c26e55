"""Codecs: a file or folder here is a family, and its `FAMILY` a class that implements `core.protocols.Codec`."""

from audex_jax.core.errors import AudexError

NOISE_RMS = 0.05  # of the white noise that fills, for codecs that keep the level: that of quiet speech


def check_filler(kind: str) -> None:
    """Refuse a kind of filler that no codec has.

    Raises:
        AudexError: it is neither `zero` nor `noise`.
    """
    if kind not in ("zero", "noise"):
        raise AudexError(f"no filler {kind!r}; a codec has zero and noise")
