"""Modules of PyTorch, from a file or not: what they answer, and what tells them apart."""

import pathlib

import numpy as np
import pytest

from audex_jax.adapters.explainers import from_torch, from_torchscript
from audex_jax.adapters.pytorch import TorchFunction, open_torchscript
from audex_jax.core.errors import AudexError

torch = pytest.importorskip("torch", reason="needs the extra `torch`")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]
LABELS = ("low", "high")


def module(seed: int = 0, activation: type = torch.nn.ReLU) -> torch.nn.Module:
    torch.manual_seed(seed)
    convolution, mean = torch.nn.Conv1d(1, 4, 16, 8), torch.nn.AdaptiveAvgPool1d(1)
    unsqueeze = torch.nn.Unflatten(1, (1, -1))
    return torch.nn.Sequential(unsqueeze, convolution, activation(), mean, torch.nn.Flatten(), torch.nn.Linear(4, 2))


def spectrum(audio):
    """A front end."""
    return torch.fft.rfft(audio).abs()


def test_a_file_answers_as_the_module_that_it_holds(tmp_path, rng):
    ours, audio = module().eval(), rng.normal(size=(2, 500)).astype(np.float32)
    torch.jit.script(ours).save(tmp_path / "model.pt")
    explainer = from_torchscript(tmp_path / "model.pt", LABELS, 1000)
    with torch.no_grad():
        expected = ours(torch.from_numpy(audio)).numpy()
    np.testing.assert_allclose(explainer.model.classifier.checked(audio), expected, atol=1e-6)


def test_a_front_end_is_a_part_of_the_function(rng):
    ours, audio = module().eval(), rng.normal(size=(2, 500)).astype(np.float32)
    classifier = from_torch(ours, LABELS, 1000, front_end=spectrum).model.classifier
    own = torch.from_numpy(audio).requires_grad_()
    expected = ours(spectrum(own))
    np.testing.assert_allclose(classifier.checked(audio), expected.detach().numpy(), atol=1e-6)
    expected[:, 0].sum().backward()
    cotangent = np.tile(np.float32([1, 0]), (2, 1))
    np.testing.assert_allclose(classifier.pulled_back(audio, cotangent), own.grad.numpy(), atol=1e-6)


def test_fingerprints_tell_weights_layers_and_front_ends_apart():
    functions = [
        TorchFunction(module()),
        TorchFunction(module(1)),
        TorchFunction(module(0, torch.nn.GELU)),
        TorchFunction(module(), spectrum),
    ]
    assert len({f.fingerprint for f in functions}) == len(functions)
    assert TorchFunction(module(), lambda audio: audio).fingerprint == TorchFunction(module(), lambda x: x).fingerprint


def weights_alone(path: pathlib.Path):
    torch.save(module().state_dict(), path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"nothing"), "cannot open it as TorchScript"),
        (weights_alone, "weights alone are no model"),
    ],
)
def test_files_that_are_refused(write, said, tmp_path):
    write(tmp_path / "model.pt")
    with pytest.raises(AudexError, match=said) as error:
        open_torchscript(tmp_path / "model.pt")
    assert "\n" not in str(error.value)
