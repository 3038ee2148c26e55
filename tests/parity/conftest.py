"""PyTorch references with seeded random weights. Everything here skips where PyTorch is not installed."""

import functools
import json
from collections.abc import Callable

import jax
import numpy as np
import pytest

from audex_jax.codecs.encodec import Encodec


@pytest.fixture(autouse=True)
def full_precision(optimised):
    """float32 products on every backend, compiled as users compile them."""
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="session")
def encodec_reference() -> Callable:
    """`transformers.EncodecModel` for fields of its config, with random weights everywhere: codebooks too."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")

    @functools.lru_cache(maxsize=1)
    def build(fields: str, seed: int = 0):
        torch.manual_seed(seed)
        model = transformers.EncodecModel(transformers.EncodecConfig(**json.loads(fields))).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("original0", "norm.weight")):
                    parameter.mul_(0.7 + 0.6 * torch.rand(parameter.shape))
                elif name.endswith("bias") and "lstm" not in name:
                    parameter.copy_(0.1 * torch.randn(parameter.shape))
            for stage, layer in enumerate(model.quantizer.layers):
                layer.codebook.embed.copy_(0.3 * 0.9**stage * torch.randn(layer.codebook.embed.shape))
        return model

    return lambda seed=0, **fields: build(json.dumps(fields), seed)


@pytest.fixture(scope="session")
def ported() -> Callable:
    """Our codec with the reference's weights, through the converter."""
    from weights_conversion import convert_codec
    from weights_conversion.encodec.configs import from_hugging_face
    from weights_conversion.sources import Source

    def convert(model) -> Encodec:
        config = from_hugging_face(json.loads(model.config.to_json_string()), "reference")
        tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
        return convert_codec(Source("reference", tensors, config, {}))

    return convert


@pytest.fixture(scope="session")
def relative_error() -> Callable:
    """Largest difference over the largest value of the reference."""

    def error(ours, reference) -> float:
        ours, reference = np.asarray(ours), np.asarray(reference)
        assert ours.shape == reference.shape
        return float(np.abs(ours - reference).max() / np.abs(reference).max())

    return error


@pytest.fixture(scope="session")
def run_torch() -> Callable:
    """Calls a PyTorch module on channels-last NumPy arrays and returns one."""
    torch = pytest.importorskip("torch")

    def run(module, x) -> np.ndarray:
        with torch.no_grad():
            return module(torch.tensor(np.asarray(x)).transpose(1, 2)).transpose(1, 2).numpy()

    return run
