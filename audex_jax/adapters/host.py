"""A classifier of audio that JAX cannot trace: a function of NumPy arrays, with or without a gradient."""

from collections.abc import Callable, Iterator
from typing import Literal

import jax
import numpy as np

from audex_jax.adapters.reading import Reading
from audex_jax.adapters.waveform import check_shape
from audex_jax.core.errors import AudexError
from audex_jax.core.host import no_gradient, on_host
from audex_jax.core.resample import resample, resampled_length
from audex_jax.core.types import Array, Bool, Float

ROWS = 16  # clips in one call
TOLERANCE = 1e-3  # of outputs of the same clip, as a share of the largest
CHECKED = 0.5  # seconds of the noise that a function is tried on, unless its clips are shorter
HUSH = 1e-5  # of the noise of a trial: -120 dB

Function = Callable[[np.ndarray], np.ndarray]  # `[b, n] -> [b, k]` or `[b, t, k]`
PullBack = Callable[[np.ndarray, np.ndarray], np.ndarray]  # and the output's cotangent; that of the audio `[b, n]`


@jax.tree_util.register_static
class HostClassifier:
    """A function of batches of audio `[b, n]` as a `core.protocols.Classifier`; explained on the host, see `core.host`.

    It is given clips of one length at a time, without padding.
    """

    reads: Literal["latent", "audio"] = "audio"
    traceable = False

    def __init__(
        self,
        function: Function,
        pull_back: PullBack | None,
        *,
        source: int,
        rate: int,
        reading: Reading,
        labels: int,
        fingerprint: str,
    ):
        """Wrap a function.

        Args:
            function: float32 audio `[b, n]`, channels averaged, to outputs `[b, k]` or `[b, t, k]`.
            pull_back: `(audio, cotangent of the outputs) -> cotangent of the audio`; None for none.
            source: sample rate of the audio that is given, in Hz.
            rate: sample rate that the function takes, in Hz.
            reading: what its output means.
            labels: number k of outputs.
            fingerprint: tells this classifier from others; see `bundles.digest`.
        """
        self.function, self.pull_back = function, pull_back
        self.source, self.rate, self.reading, self.labels = source, rate, reading, labels
        self.fingerprint, self.calls = f"{fingerprint} {source} {rate} {reading}", 0
        self.shuffled = self._shuffled if hasattr(function, "shuffled") else None  # for `attribution.controls`
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._tried = False  # with clips of the user

    def _shuffled(self, seed: int) -> "HostClassifier":
        """The classifier with its weights in random order."""
        function = self.function.shuffled(seed)  # type: ignore[attr-defined]
        pull_back = None if self.pull_back is None else function.pull_back
        how = {"source": self.source, "rate": self.rate, "reading": self.reading, "labels": self.labels}
        return HostClassifier(function, pull_back, fingerprint=f"{self.fingerprint} shuffled {seed}", **how)

    @property
    def has_gradient(self) -> bool:
        """Whether methods that need a gradient can be used."""
        return self.pull_back is not None

    def __call__(self, clip: Float[Array, "n c"], valid: Bool[Array, " n"]) -> Float[Array, " k"]:
        """Logits `[k]` of one clip `[n, c]` and its own samples `[n]`."""
        audio = resample(clip.mean(1), self.source, self.rate)
        length = resampled_length(valid.sum(), self.source, self.rate)
        pull_back = self._pull if self.has_gradient else no_gradient
        *frames, labels = self.output_shape(len(audio))
        if not frames:
            raw = on_host(self._values, pull_back, (labels,), audio, length)
            return self.reading(raw, length, len(audio), self.rate)
        raw = on_host(self._values, pull_back, (*frames, labels + 1), audio, length)
        own = raw[:, labels].sum()  # of the frames, only these come from the clip
        return self.reading(raw[:, :labels], length, length * frames[0] / own, self.rate)

    def output_shape(self, samples: int) -> tuple[int, ...]:
        """Shape of the output of a clip of so many samples."""
        if samples not in self._shapes:
            self._shapes[samples] = self.checked(_noise(1, samples)).shape[1:]
        return self._shapes[samples]

    def checked(self, audio: np.ndarray) -> np.ndarray:
        """Outputs of clips of one length `[b, n]`.

        Raises:
            AudexError: the function raises, or returns something else than a finite number for each label.
        """
        found = self._ask(self.function, audio)
        if found.ndim == 0 or len(found) != len(audio):
            raise AudexError(
                f"the classifier returns shape {found.shape} for {len(audio)} clips; one row a clip is needed"
            )
        check_shape(found.shape[1:], self.labels)
        if not np.isfinite(found).all():
            raise AudexError("the classifier returns values that are not finite numbers; mend it, or the recording")
        return found

    def pulled_back(self, audio: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Cotangent of clips of one length `[b, n]`, of that of their outputs.

        A magnitude has no gradient at 0, so many models have none at digital silence. For such clips it is taken beside
        them, with noise of -120 dB.

        Raises:
            AudexError: it cannot be computed, or is not finite.
        """
        assert self.pull_back is not None
        found = self._ask(self.pull_back, audio, cotangent)
        if (lost := ~np.isfinite(found).all(1)).any():
            found[lost] = self._ask(self.pull_back, audio[lost] + HUSH * _noise(1, audio.shape[1]), cotangent[lost])
        if not np.isfinite(found).all():
            raise AudexError(
                "the classifier's gradient holds values that are not finite numbers; mend it, or the recording"
            )
        return found

    def _ask(self, function: Callable[..., np.ndarray], audio: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """What the user's code returns."""
        self.calls += len(audio)
        try:
            with jax.ensure_compile_time_eval():  # the function may use JAX, while JAX traces
                return np.array(function(audio, *others), np.float32)
        except AudexError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise AudexError(f"the classifier raised {type(error).__name__}: {said}") from error

    def _groups(self, audio: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Numbers of the rows of one call: clips of one length."""
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            yield from (rows[i : i + ROWS] for i in range(0, len(rows), ROWS))

    def _values(self, audio: Array, length: Array) -> tuple[np.ndarray]:
        """Outputs `[b, k]`; or `[b, t, k + 1]`, of which the last is 1 in frames of the clip and 0 in padding."""
        own, lengths = np.asarray(audio, np.float32), np.maximum(np.asarray(length), 1)
        *frames, labels = self.output_shape(own.shape[1])
        found = np.zeros((len(own), *frames, labels + len(frames)), np.float32)
        for rows in self._groups(own, lengths):
            values = self._tried_once(np.ascontiguousarray(own[rows, : lengths[rows[0]]]))
            if frames:
                found[rows, : values.shape[1]] = np.pad(values, ((0, 0), (0, 0), (0, 1)), constant_values=1)
            else:
                found[rows] = values
        return (found,)

    def _tried_once(self, clips: np.ndarray) -> np.ndarray:
        """`checked`; the first time, noise is tried before and after: what noise alone does not stir may keep state."""
        if self._tried:
            return self.checked(clips)
        trial = _noise(1, clips.shape[1])
        before, found, after = self.checked(trial), self.checked(clips), self.checked(trial)
        check_same(before, after, "after another clip")
        self._tried = True
        return found

    def _pull(self, audio: Array, length: Array, cotangent: Array) -> tuple[np.ndarray]:
        own, lengths, back = np.asarray(audio, np.float32), np.maximum(np.asarray(length), 1), np.asarray(cotangent)
        found = np.zeros_like(own)
        for rows in self._groups(own, lengths):
            samples = int(lengths[rows[0]])
            given = back[rows] if back.ndim == 2 else back[rows, : self.output_shape(samples)[0], :-1]
            found[rows, :samples] = self.pulled_back(np.ascontiguousarray(own[rows, :samples]), given)
        return (found,)


def _noise(clips: int, samples: int) -> np.ndarray:
    """Clips `[b, n]` for trials; silence is what a classifier may not know how to normalise."""
    return 0.1 * np.random.default_rng(0).normal(size=(clips, samples)).astype(np.float32)


def check_function(classifier: HostClassifier, seconds: float = CHECKED) -> None:
    """Try a function on noise: the same clips twice, in another order, one by one; and its gradient.

    Args:
        classifier: with the function.
        seconds: longest clip that it is given.

    Raises:
        AudexError: it is refused by `HostClassifier.checked`, keeps state or draws random numbers, or promises a
            gradient and has none.
    """
    clips = _noise(3, round(min(CHECKED, seconds) * classifier.rate))
    first = classifier.checked(clips)
    others = {
        "a second time": classifier.checked(clips),
        "in another order": classifier.checked(np.ascontiguousarray(clips[::-1]))[::-1],
        "one by one": np.concatenate([classifier.checked(clips[i : i + 1]) for i in range(3)]),
    }
    for when, found in others.items():
        check_same(first, found, when)
    if classifier.pull_back is not None:
        gradient = classifier.pulled_back(clips, np.random.default_rng(1).normal(size=first.shape).astype(np.float32))
        if not np.any(gradient):
            raise AudexError("the classifier's gradient with respect to the audio is zero; use gradient='none'")


def check_same(first: np.ndarray, again: np.ndarray, when: str) -> None:
    """Refuse a function that does not give the same outputs of the same clips.

    Raises:
        AudexError: it keeps state, draws random numbers, or mixes clips.
    """
    off = float(np.abs(again - first).max()) if first.shape == again.shape else np.inf
    if off > TOLERANCE * max(float(np.abs(first).max()), 1e-3):
        raise AudexError(
            f"the classifier does not answer alike when it is asked {when} (it differs by {off:.2g}): it keeps "
            "state, draws random numbers, or mixes clips of a batch; reset it in every call, and turn dropout off"
        )
