"""What several commands do with their arguments: load a codec, read a recording for it, check an output's name."""

import pathlib

import numpy as np

from audex_jax import bundles
from audex_jax.cli import UsageError
from audex_jax.codecs.encodec import Encodec, EncodecConfig
from audex_jax.explain.explainer import bundle_path
from audex_jax.io import audio


def codec(name: str) -> Encodec:
    """The codec of a bundle, given by path or name."""
    return bundles.load_codec(bundle_path(name))


def recording(path: str, config: EncodecConfig) -> np.ndarray:
    """A recording as the codec takes it: its sample rate and channels, `[n, c]`."""
    samples = audio.read_audio(path, config.sample_rate, config.channels)
    return samples.reshape(len(samples), config.channels)


def require_suffix(path: str, accepted: tuple[str, ...], option: str = "--out") -> None:
    """Fail before the work, not after it.

    Raises:
        UsageError: the output's name does not end in an accepted suffix, or its folder does not exist.
    """
    if pathlib.Path(path).suffix.lower() not in accepted:
        raise UsageError(f"{option} {path}: the name must end in {' or '.join(accepted)}")
    if not pathlib.Path(path).parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {pathlib.Path(path).parent}; make it first")
