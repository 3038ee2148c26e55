"""Encoder, codes and decoder against arrays that `transformers` computed (`tests/golden/make_encodec.py`)."""

import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from audex_jax.codecs.encodec import segments
from weights_conversion import convert_codec
from weights_conversion.encodec.configs import from_hugging_face
from weights_conversion.sources import Source

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
pytestmark = pytest.mark.usefixtures("optimised")


@pytest.mark.parametrize("kind", ["causal", "identity", "segmented"])
def test_port_reproduces_the_golden_arrays(kind):
    with np.load(GOLDEN / f"encodec_{kind}.npz") as file:
        golden = dict(file)
    assert set(json.loads(str(golden["made_with"]))) == {"torch", "transformers", "seed"}
    config = from_hugging_face(json.loads(str(golden["config"])), kind)
    weights = {name.removeprefix("weights/"): a for name, a in golden.items() if name.startswith("weights/")}
    codec = convert_codec(Source(kind, weights, config, {}))
    audio, bandwidth = jnp.asarray(golden["audio"]), config.bandwidths[-1]

    encoded = segments.encode_segments(codec, audio)
    close(encoded[0].latent, golden["latent"])
    close(encoded[0].scale, golden["scale"])
    assert len(encoded) == len(golden["codes"]) == len(segments.segment_bounds(config, audio.shape[1]))
    for segment, codes in zip(encoded, golden["codes"], strict=True):
        frames = segment.latent.shape[1]  # the reference pads the last segment's codes to the length of the others
        np.testing.assert_array_equal(codec.codes(segment.latent, bandwidth), codes[:, :frames])
    quantised = segments.quantize_segments(codec, encoded, bandwidth)
    close(segments.decode_segments(codec, quantised, audio.shape[1]), golden["decoded"])


def close(ours, reference):
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() <= 1e-5 * np.abs(reference).max()
