"""The three things that can be exchanged: a codec, a classifier, an attribution method.

Anything with these attributes and methods will do; nothing has to inherit from anything. Dimension letters are those of
`types`. Codecs and classifiers are arguments of compiled functions, hence pytrees: a `flax.nnx.Module` is one.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, Attribution, Audio, ClipLatent, ClipValid, Float, Int, Latent

Count = TypeVar("Count", int, Array)
Scalar = Float[Array, ""]
ScalarFunction = Callable[[ClipLatent], Scalar]


class Codec(Protocol):
    """Audio to a latent and back. The latent is the space in which decisions are explained.

    Attributes:
        sample_rate: of the audio, in Hz.
        channels: of the audio.
        dim: width of the latent.
        hop: samples from one latent frame to the next.
        keeps_level: decoded audio has the level of what was encoded. If not, the caller restores it.
        padding_invariant: zeros behind a clip leave its own frames as they are, so that clips of several lengths may be
            padded to one.
        traceable: JAX can trace and differentiate `encode` and `decode`.
    """

    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def dim(self) -> int: ...
    @property
    def hop(self) -> int: ...
    @property
    def keeps_level(self) -> bool: ...
    @property
    def padding_invariant(self) -> bool: ...
    @property
    def traceable(self) -> bool: ...

    def frames(self, samples: Count) -> Count:
        """Latent frames of a clip of `samples` samples; of a number, or of an array of numbers."""
        ...

    def encode(self, audio: Audio, lengths: Int[Array, " b"]) -> Latent:
        """Latent `[b, t, d]` of zero-padded clips `[b, n, c]` of `lengths` samples; t is `frames(n)`.

        Loudness, segments and quantiser are the codec's own business. A quantiser passes gradients straight through.
        """
        ...

    def decode(self, latent: Latent, samples: int) -> Audio:
        """Audio `[b, samples, c]` of latents, cut or padded to `samples` by the codec."""
        ...

    def filler(self, frames: int, kind: str, key: Array) -> ClipLatent:
        """The latent `[frames, d]` of nothing: `zero`, silence of the latent, or `noise`, that of white noise."""
        ...


@runtime_checkable
class CodesCodec(Protocol):
    """What a `Codec` with a quantiser has besides, for `--bandwidth`, `audex encode` and `audex decode`.

    It may also have `reconstruct(audio)`, what it keeps of recordings `[b, n, c]`, where that is not
    `decode(encode(audio))`.

    Attributes:
        bandwidth: kilobits per second of the latents that `encode` returns; None for the codec's own best.
        bandwidths: those that it offers, ascending.
    """

    @property
    def bandwidth(self) -> float | None: ...
    @property
    def bandwidths(self) -> tuple[float, ...]: ...

    def at(self, bandwidth: float | None) -> "CodesCodec":
        """The same codec at another bandwidth; it shares the weights; an `AudexError` if it does not offer that."""
        ...

    def encode_codes(self, audio: Float[Array, "n c"], bandwidth: float) -> Any:
        """One recording of any length as an `io.codes.CodedClip`."""
        ...

    def decode_codes(self, clip: Any) -> Any:
        """The recording `[n, c]` that such codes stand for; an `AudexError` if they are not of this codec."""
        ...


class Classifier(Protocol):
    """Logits of one clip; `jax.vmap` maps it over clips.

    A classifier of latents may also have `hidden(clip, valid, dropout, key)`, its last hidden state `[t, w]` of every
    frame, and `head(hidden, valid)`, the logits of that. The ranking `matched-mask` then matches these, too; see
    `classifiers.transformer`.

    Attributes:
        reads: `latent` or `audio`.
    """

    @property
    def reads(self) -> Literal["latent", "audio"]: ...

    def __call__(self, clip: Any, valid: ClipValid) -> Float[Array, " k"]:
        """Logits `[k]` of a latent `[t, d]` and its valid frames `[t]`, or of audio `[n, c]` and its valid samples.

        What is not valid is padding and changes nothing.
        """
        ...


class PathAttribution(NamedTuple):
    """An attribution and how well it adds up; mapped over clips, every field gains a leading axis.

    Attributes:
        attribution: share of each element in F(z) - F(z0), in units of F, `[t, d]`.
        value: F at the clip.
        baseline_value: F at the baseline.
        gap: completeness gap, sum of the attribution - (F(z) - F(z0)); 0 for an exact integral along a path. Methods
            that do not claim to add up have one, too.
        points: points on the path where the gradient was taken; for methods without a path, evaluations of F or of its
            gradient.
        overlap: with automatic steps, the estimated share of the top elements that more points would confirm; NaN
            everywhere else.
    """

    attribution: Attribution
    value: Scalar
    baseline_value: Scalar
    gap: Scalar
    points: Int[Array, ""]
    overlap: Scalar


class AttributionMethod(Protocol):
    """How much each element of one clip's latent adds to a number that is computed from it.

    The function `attribute` of a file in `attribution/methods`; the file's name is the method's name. It is traced, and
    mapped over clips.
    """

    def __call__(
        self,
        f: ScalarFunction,
        latent: ClipLatent,
        baseline: ClipLatent,
        *,
        baselines: Callable[[], Float[Array, "m t d"]],
        valid: ClipValid,
        key: Array,
        settings: Settings,
        units: Callable[[], tuple[Int[Array, "t d"], int]],
    ) -> PathAttribution:
        """Attribute `f(latent) - f(baseline)`, or what the method takes for it.

        Args:
            f: what is explained, a scalar function of the latent; what it makes of padding is constant.
            latent: the clip `[t, d]`.
            baseline: what stands for nothing, `[t, d]`.
            baselines: gives several such latents, `[m, t, d]`, for methods that average over them.
            valid: the clip's own frames, `[t]`.
            key: random key of this clip.
            settings: `steps`, `rule` and `budget` bound the number of evaluations, `chunk` those held at once.
            units: gives a unit in time and frequency for each element, `[t, d]`, and the number of units.
        """
        ...
