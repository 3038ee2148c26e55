"""Frames, codes and audio against arrays that `transformers` and moshi computed (`tests/golden/make_mimi.py`)."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from weights_conversion import convert_codec
from weights_conversion.mimi.configs import from_hugging_face
from weights_conversion.sources import Source

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
pytestmark = pytest.mark.usefixtures("optimised")


@jax.jit
def run(codec, audio, codes):
    """Frames; the codes of what `encode` makes of clips; the audio of codes."""
    latent = codec.encode(audio, jnp.full(len(audio), audio.shape[1]))
    samples = codes.shape[1] * codec.hop
    found = codec.codes(latent, codec.bandwidths[-1])
    return codec.frame(audio), found, codec.decode(codec.dequantize(codes), samples)


@pytest.mark.parametrize("dialect", ["hugging_face", "kyutai"])
def test_port_reproduces_the_golden_arrays(dialect):
    with np.load(GOLDEN / f"mimi_{dialect}.npz") as file:
        golden = dict(file)
    assert set(json.loads(str(golden["made_with"]))) >= {"torch", "seed"}
    config = from_hugging_face(json.loads(str(golden["config"])), dialect)
    weights = {name.removeprefix("weights/"): a for name, a in golden.items() if name.startswith("weights/")}
    codec = convert_codec(Source(dialect, weights, config, {}))
    audio, codes = jnp.asarray(golden["audio"]), golden["codes"].astype(np.int32)
    assert codes.shape[1] * 2 > config.context  # the transformers' frames
    if dialect == "kyutai":
        audio = jnp.pad(audio, ((0, 0), (0, -audio.shape[1] % codec.hop), (0, 0)))
    frame, found, decoded = run(codec, audio, codes)
    close(frame, golden["frame"])
    close(decoded, golden["decoded"])
    whole = slice(None) if dialect == "kyutai" else slice(-1)  # the begun frame, see `Mimi.encode`
    np.testing.assert_array_equal(found[:, whole], codes[:, whole])


def close(ours, reference):
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= 1e-5 * np.abs(reference).max()
