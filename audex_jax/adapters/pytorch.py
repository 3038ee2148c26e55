"""PyTorch models: outputs and pull-backs by PyTorch itself (extra `torch`). A model on a GPU is used there."""

import contextlib
import copy
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from audex_jax.core.errors import AudexError
from audex_jax.io.files import is_regular

ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of objects in memory, another one in every process


class TorchFunction:
    """Outputs and pull-backs of a module from audio `[b, n]`, in evaluation mode, as NumPy arrays."""

    def __init__(self, module: Any, front_end: Callable[[Any], Any] | None = None):
        """Wrap a module.

        Args:
            module: from audio, or from what `front_end` makes of it, to logits.
            front_end: a differentiable function of tensors; its `repr` tells it from others.
        """
        self.module, self.front_end = module, front_end
        parameter = next(iter(module.parameters()), None)
        self.device = "cpu" if parameter is None else parameter.device

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """The module in evaluation mode, and back as it was."""
        training = [part for part in self.module.modules() if part.training]
        self.module.eval()
        try:
            yield
        finally:
            for part in training:
                part.training = True

    def _outputs(self, audio: Any) -> Any:
        found = self.module(audio if self.front_end is None else self.front_end(audio))
        found = getattr(found, "logits", found)
        return found[0] if isinstance(found, tuple) else found

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Outputs of clips `[b, n]`."""
        import torch

        with self._evaluating(), torch.no_grad():
            return self._outputs(torch.from_numpy(audio).to(self.device)).float().cpu().numpy()

    def pull_back(self, audio: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Cotangent of the audio `[b, n]`.

        Raises:
            AudexError: the outputs do not depend on the audio in a way that PyTorch can differentiate.
        """
        import torch

        with self._evaluating(), torch.enable_grad():
            own = torch.from_numpy(audio).to(self.device).requires_grad_()
            found = self._outputs(own)
            if not found.requires_grad:
                raise AudexError("PyTorch finds no gradient from the outputs to the audio; use gradient='none'")
            (gradient,) = torch.autograd.grad(found, own, torch.from_numpy(cotangent).to(found), allow_unused=True)
        return np.zeros_like(audio) if gradient is None else gradient.float().cpu().numpy()

    def shuffled(self, seed: int) -> "TorchFunction":
        """A copy of the module with the entries of each parameter in random order."""
        import torch

        generator, copied = torch.Generator().manual_seed(seed), copy.deepcopy(self.module)
        with torch.no_grad():
            for parameter in copied.parameters():
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
        return TorchFunction(copied)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the module's layers, settings of a Hugging Face model, front end, and weights."""
        config: Any = getattr(self.module, "config", None)
        settings = config.to_json_string() if hasattr(config, "to_json_string") else ""
        said = f"{type(self.module).__qualname__} {self.module} {settings} {self.front_end}"
        found = hashlib.sha256(ADDRESS.sub("", said).encode())
        for name, value in self.module.state_dict().items():
            found.update(name.encode())
            if hasattr(value, "cpu"):
                found.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).tobytes())
        return found.hexdigest()


def open_torchscript(path: str | os.PathLike) -> Any:
    """The module that `torch.jit.save` wrote, on the CPU.

    Raises:
        AudexError: no such file, or another kind of file; PyTorch is not installed.
    """
    if not is_regular(path):
        raise AudexError(f"{path}: no such file; give a TorchScript model")
    try:
        import torch
    except ImportError:
        raise AudexError("TorchScript models need PyTorch: pip install 'audex-jax[torch]'") from None
    try:
        with warnings.catch_warnings():  # TorchScript is no longer developed, but many models come as such
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(path, map_location="cpu")
    except Exception as error:  # of several kinds
        said = " ".join(str(error).split())[:200]
        raise AudexError(
            f"{path}: PyTorch cannot open it as TorchScript ({said}); weights alone are no model: build the module and "
            "give it to from_torch"
        ) from error
