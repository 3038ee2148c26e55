"""A classifier of audio that is a JAX function: one compiled program explains it, its parameters are an argument."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from audex_jax.adapters.reading import Reading
from audex_jax.core.errors import AudexError
from audex_jax.core.resample import resample, resampled_length
from audex_jax.core.types import Array, Bool, Float

Function = Callable[[Any, Float[Array, "n c"], Array], Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Waveform:
    """`function(params, audio [n, c], length) -> output` as a `core.protocols.Classifier`.

    Attributes:
        params: any pytree of arrays.
        function: traceable; what lies behind `length` samples is padding.
        source: sample rate of the audio that is given, in Hz.
        rate: sample rate that the function takes, in Hz.
        reading: what its output means.
    """

    params: Any
    function: Function = dataclasses.field(metadata={"static": True})
    source: int = dataclasses.field(metadata={"static": True})
    rate: int = dataclasses.field(metadata={"static": True})
    reading: Reading = dataclasses.field(metadata={"static": True})
    reads: Literal["latent", "audio"] = dataclasses.field(default="audio", metadata={"static": True})

    @property
    def fingerprint(self) -> str:
        """Tells this function from others; its parameters are numbers like those of other classifiers."""
        name = f"{getattr(self.function, '__module__', '')}.{getattr(self.function, '__qualname__', '')}"
        return f"{name} {self.source} {self.rate} {self.reading}"

    def __call__(self, clip: Float[Array, "n c"], valid: Bool[Array, " n"]) -> Float[Array, " k"]:
        """Logits `[k]` of one clip `[n, c]` and its own samples `[n]`."""
        audio = jax.vmap(lambda channel: resample(channel, self.source, self.rate), 1, 1)(clip)
        length = resampled_length(valid.sum(), self.source, self.rate)
        return self.reading(self.function(self.params, audio, length), length, len(audio), self.rate)


def check_waveform(function: Function, params: Any, labels: int, samples: int, channels: int) -> None:
    """Refuse a function that does not give one output for each label; nothing is computed.

    Raises:
        AudexError: it raises, or returns something else.
    """
    try:
        found = jax.eval_shape(
            function,
            params,
            jax.ShapeDtypeStruct((samples, channels), jnp.float32),
            jax.ShapeDtypeStruct((), jnp.int32),
        )
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise AudexError(f"the classifier raised {type(error).__name__}: {said}") from error
    check_shape(getattr(found, "shape", None), labels)
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise AudexError(f"the classifier returns {found.dtype}; it has to return floats, such as logits")


def check_shape(shape: tuple[int, ...] | None, labels: int) -> None:
    """Refuse the shape of one clip's output unless it is `[k]`, or `[t, k]`, for k labels.

    Raises:
        AudexError: it is not.
    """
    if shape is None or len(shape) not in (1, 2):
        raise AudexError(f"the classifier returns shape {shape} for a clip; it has to be [labels] or [frames, labels]")
    if shape[-1] != labels:
        raise AudexError(f"the classifier gives {shape[-1]} numbers for a clip, but there are {labels} labels")
