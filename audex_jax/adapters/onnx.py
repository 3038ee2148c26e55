"""Classifiers in ONNX files, as functions without gradients (extra `onnx`)."""

import glob
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from audex_jax.adapters.explainers import bounded, from_function
from audex_jax.core.errors import AudexError
from audex_jax.explain.explainer import Explainer
from audex_jax.io.files import is_regular, sha256

FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
DEVICES = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the first that the installed onnxruntime has


def from_onnx(path: str | os.PathLike, labels: Sequence[str], sample_rate: int, **options: Any) -> Explainer:
    """Explainer of an ONNX model, run by onnxruntime.

    Its one input is audio `[b, n]`, `[b, 1, n]` or `[n]`, and its first output `[b, k]` or `[b, t, k]`. Where the model
    fixes n, that is the longest clip, and shorter ones are padded with zeros.

    Args:
        path: the file.
        labels, sample_rate, options: as in `for_waveform`.

    Raises:
        AudexError: no such file, or not an ONNX model; an input that is not audio; several inputs; longer clips than
            the model takes; as in `from_function`.
    """
    model = OnnxFunction(path)
    options = bounded(model.samples / sample_rate, str(path), options)
    return from_function(model, labels, sample_rate, model.fingerprint, **options)


class OnnxFunction:
    """Outputs of clips `[b, n]`, as NumPy arrays."""

    def __init__(self, path: str | os.PathLike):
        """Open a file; see `from_onnx`."""
        self.path = pathlib.Path(path)
        if not is_regular(path):
            raise AudexError(f"{path}: no such file; give an ONNX model")
        try:
            import onnxruntime
        except ImportError:
            raise AudexError("ONNX models need onnxruntime: pip install 'audex-jax[onnx]'") from None
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 3  # errors
        devices = [name for name in DEVICES if name in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(self.path, quiet, devices)
        except Exception as error:  # onnxruntime's kinds derive from nothing more special
            said = " ".join(str(error).split())[:200]
            raise AudexError(
                f"{path}: onnxruntime cannot open it as an ONNX model ({said}); export it again"
            ) from error
        self.input, self.dtype = _audio_input(path, self.session.get_inputs())
        output = self.session.get_outputs()[0]
        self.output, self.alone = output.name, len(self.input.shape) == 1 and output.shape[:1] != [1]

    @property
    def samples(self) -> float:
        """Longest clip; infinite where any length will do."""
        wanted = self.input.shape[-1]
        return wanted if isinstance(wanted, int) else float("inf")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file, and of files beside it that hold its weights."""
        found = hashlib.sha256()
        for path in sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}*")):
            found.update(sha256(path).encode())
        return found.hexdigest()

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        """Outputs `[b, k]` or `[b, t, k]` of clips `[b, n]`; a sample too many, which resampling may give, is cut.

        Raises:
            AudexError: the clips are longer than what the model takes.
        """
        *leading, wanted = self.input.shape
        if audio.shape[1] > self.samples + 1:
            raise AudexError(
                f"{self.path}: the model takes {wanted} samples, not {audio.shape[1]}; choose shorter clips"
            )
        if isinstance(wanted, int):
            audio = np.pad(audio[:, :wanted], ((0, 0), (0, max(0, wanted - audio.shape[1]))))
        rows = leading[0] if leading and isinstance(leading[0], int) else len(audio) if leading else 1
        found = [self._run(audio[i : i + rows], rows) for i in range(0, len(audio), rows)]
        return np.concatenate(found)

    def _run(self, audio: np.ndarray, rows: int) -> np.ndarray:
        """Outputs of one call, of up to `rows` clips; what is missing is zeros."""
        full = np.pad(audio, ((0, rows - len(audio)), (0, 0))).astype(self.dtype)
        shaped = full.reshape({1: (-1,), 2: (rows, -1), 3: (rows, 1, -1)}[len(self.input.shape)])
        (found,) = self.session.run([self.output], {self.input.name: shaped})
        return np.asarray(found)[None] if self.alone else np.asarray(found)[: len(audio)]


def _audio_input(path: str | os.PathLike, inputs: Sequence[Any]) -> tuple[Any, type]:
    """The model's one input and the dtype that it takes.

    Raises:
        AudexError: there are several, or it is not audio.
    """
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        floats = [i.name for i in inputs if i.type in FLOATS]
        audio = f"audio is likely {floats[0]!r}; " if floats else ""
        raise AudexError(
            f"{path}: the model asks for {len(inputs)} inputs ({names}); {audio}if the others keep state, wrap it in a "
            "function that resets it, for from_function"
        )
    only = inputs[0]
    channels = only.shape[1:-1]  # a number, or the name of one that is free
    mono = len(only.shape) in (1, 2) or (len(only.shape) == 3 and (channels == [1] or not isinstance(channels[0], int)))
    if only.type not in FLOATS or not mono:
        raise AudexError(
            f"{path}: the input {only.name!r} is {only.type} of shape {only.shape}, not audio as floats [b, n], "
            "[b, 1, n] or [n]; compute what it reads in a function, for from_function"
        )
    return only, FLOATS[only.type]
