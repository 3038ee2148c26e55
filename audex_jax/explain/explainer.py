"""The explainer: a codec, a classifier and its labels, and what they say about a clip."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution.convergence import Convergence, convergence
from audex_jax.attribution.path import FLOOR
from audex_jax.core.errors import AudexError, ModelError
from audex_jax.core.forks import must_not_be_forked
from audex_jax.core.level import samples_of
from audex_jax.core.registry import METRICS
from audex_jax.core.settings import ADVERSARIAL, AMORTISED, MATCHED, Settings, settings_from
from audex_jax.explain.checks import check_finite, usable
from audex_jax.explain.control import Control, wrong_targets
from audex_jax.explain.model import DOMAINS, Model, suited, tells_features
from audex_jax.explain.result import Explanation
from audex_jax.explain.step import BatchExplanation, Sounds, explain_step, resynthesize_step
from audex_jax.io.audio import SILENCE_PEAK, read_audio
from audex_jax.masking.rank import NEVER

GAP_TOLERANCE = 0.05  # completeness gap up to which an attribution counts as converged


class Explainer:
    """A codec and a classifier, ready to explain.

    Examples:
        >>> from audex_jax.bundles import load_explainer
        >>> explainer = load_explainer("mini-speech-commands")
        >>> explainer.sample_rate, len(explainer.labels)
        (16000, 17)
    """

    def __init__(self, model: Model, labels: Sequence[str], clip_seconds: float, warnings: Sequence[str] = ()):
        """Join a model with the names of its classes.

        Args:
            model: codec, classifier, and mean latent.
            labels: names of the classes, in the order of the logits.
            clip_seconds: longest clip that is explained in one piece.
            warnings: what its training found wrong with it; every explanation repeats them.
        """
        must_not_be_forked()
        self.model = model
        self.labels = tuple(labels)
        self.clip_seconds = clip_seconds
        self.warnings = tuple(warnings)

    @property
    def sample_rate(self) -> int:
        """Of the audio that `explain` reads, in Hz."""
        return self.model.codec.sample_rate

    @property
    def clip_samples(self) -> int:
        """Longest clip that is explained in one piece."""
        return round(self.clip_seconds * self.sample_rate)

    def target_index(self, label: str | None) -> int:
        """Class number of a label; -1 for None, the predicted class.

        Raises:
            AudexError: the classifier has no such label.
        """
        if label is None:
            return -1
        if label not in self.labels:
            raise AudexError(f"the classifier has no label {label!r}; it knows {', '.join(self.labels)}")
        return self.labels.index(label)

    def suited(self, settings: Settings) -> Settings:
        """The settings, with other defaults if the classifier gives no gradient."""
        return suited(self.model, settings)

    def explain(
        self,
        audio: np.ndarray | str | os.PathLike,
        target: str | None = None,
        *,
        versus: str | None = None,
        control: bool = True,
        **settings,
    ) -> Explanation:
        """Explain one clip.

        Args:
            audio: samples `[n]` (or `[n, c]`) at `sample_rate`, up to `clip_samples` of them; floats with full scale at
                1, or integers, which are divided by their range. Or the path of a recording.
            target: label to explain; None for the predicted one.
            versus: label to explain the target against: why this label rather than that one.
            control: also ask the same method for a label that is not in the clip; takes as long again.
            **settings: fields of `Settings`, for example `keep=0.1`.

        Returns:
            The explanation, with what became of it as audio.

        Raises:
            AudioError: the recording cannot be read.
            AudexError: the clip is empty, too long or holds no samples (`core.level.samples_of`); what the model makes
                of it is not finite; an unknown label or setting.
        """
        if isinstance(audio, (str, os.PathLike)):
            audio = read_audio(audio, self.sample_rate, self.model.codec.channels)
        return self.explain_clips([audio], target, settings_from(settings), versus=versus, control=control)[0]

    def explain_clips(
        self,
        clips: Sequence[np.ndarray],
        target: str | None = None,
        settings: Settings | None = None,
        *,
        versus: str | None = None,
        control: bool = False,
    ) -> list[Explanation]:
        """Explain several clips in one batch; see `explain`. Each batch size compiles once.

        What a clip's batch holds beside it changes its numbers by rounding at most.
        """
        settings = settings or Settings()
        if not clips:
            return []
        clips = [samples_of(clip, "a clip") for clip in clips]
        found = self.explanations(self.start(clips, target, settings, versus, control), clips, settings)
        return [usable(explanation) for explanation in found]

    def start(
        self,
        clips: Sequence[np.ndarray],
        target: str | None,
        settings: Settings,
        versus: str | None = None,
        control: bool = False,
    ) -> BatchExplanation:
        """Let the device begin to explain several clips in one batch; `explanations` waits for it."""
        settings = self.suited(settings)
        audio, lengths = self.pad(clips)
        none, wanted, against = (
            jnp.full(len(clips), number, jnp.int32) for number in (-1, *map(self.target_index, (target, versus)))
        )
        found = explain_step(self.model, audio, lengths, wanted, settings, against)
        if not control:
            return found
        wrong = wrong_targets(found.logits).astype(jnp.int32)
        return found.controlled(wrong, explain_step(self.model, audio, lengths, wrong, settings, none))

    def resynthesize(
        self, keep: float, clips: Sequence[np.ndarray], explanations: Sequence[Explanation]
    ) -> list[Explanation]:
        """The same scores at another share of kept elements: other masks, other sounds, classified anew.

        Far cheaper than to explain again, and compiled once for all shares.

        Args:
            keep: share of the latent elements to keep, 0 to 1.
            clips: as given to `explain_clips`.
            explanations: what it returned for them.

        Raises:
            AudexError: a share outside 0 to 1, or another number of explanations than of clips.
        """
        if len(clips) != len(explanations):
            raise AudexError(f"{len(clips)} clips, but {len(explanations)} explanations; give one for each")
        if not clips:
            return []
        clips = [samples_of(clip, "a clip") for clip in clips]
        settings = dataclasses.replace(explanations[0].settings, keep=keep)
        audio, lengths = self.pad(clips)
        codec = self.model.codec
        score = np.zeros((len(clips), codec.frames(audio.shape[1]), codec.dim), np.float32)
        for row, explanation in enumerate(explanations):
            score[row, : len(explanation.score)] = explanation.score
        any_keep = Settings(keep=0.0, filler=settings.filler, seed=settings.seed)  # one program for all methods
        sounds: Any = jax.tree.map(np.asarray, resynthesize_step(self.model, audio, lengths, score, keep, any_keep))
        found = []
        for row, (clip, e) in enumerate(zip(clips, explanations, strict=True)):
            own = _row(sounds, row)
            check_finite(own)
            share = self._share(own, clip, e.prediction, e.target, e.versus, keep)
            found.append(_measured(dataclasses.replace(e, settings=settings, **share), clip))
        return found

    def pad(self, clips: Sequence[np.ndarray], samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Clips as one batch `[b, n, c]`, zero-padded to `samples` (`clip_samples`), and their lengths `[b]`."""
        must_not_be_forked()
        channels = self.model.codec.channels
        audio = np.zeros((len(clips), samples or self.clip_samples, channels), np.float32)
        lengths = np.zeros(len(clips), np.int32)
        for row, clip in enumerate(clips):
            clip = samples_of(clip, "a clip")
            clip = clip[:, None] if clip.ndim == 1 else clip
            if clip.ndim != 2 or clip.shape[1] not in (1, channels):
                raise AudexError(f"audio has shape {clip.shape}; expected [samples] or [samples, {channels}]")
            if not 0 < len(clip) <= self.clip_samples:
                raise AudexError(
                    f"a clip has {len(clip)} samples; this explainer takes 1 to {self.clip_samples} "
                    f"({self.clip_seconds:g} s at {self.sample_rate} Hz): cut longer recordings with `segments`"
                )
            audio[row, : len(clip)] = clip
            lengths[row] = len(clip)
        return audio, lengths

    def explanations(
        self, batch: Any, clips: Sequence[np.ndarray], settings: Settings
    ) -> list[Explanation | ModelError]:
        """What `explain_step` returned for `clips`, clip by clip, as NumPy arrays; rows of padding are left out.

        Where the model gives a clip anything that is not finite, an error stands for its explanation.
        """
        host, settings = jax.tree.map(np.asarray, batch), self.suited(settings)
        found: list[Explanation | ModelError] = []
        for row, clip in enumerate(clips):
            try:
                found.append(self._explanation(_row(host, row), clip, settings))
            except ModelError as error:
                found.append(error)
        return found

    def segments(self, audio: np.ndarray) -> list[np.ndarray]:
        """Cut a recording into clips of `clip_samples`; the last one is shorter, unless that leaves under 0.1 s."""
        pieces = [audio[i : i + self.clip_samples] for i in range(0, len(audio), self.clip_samples)]
        if len(pieces) > 1 and len(pieces[-1]) < 0.1 * self.sample_rate:
            pieces.pop()
        return pieces

    def _explanation(self, own: BatchExplanation, clip: np.ndarray, settings: Settings) -> Explanation:
        """The record of one clip, of what the step returned for it."""
        check_finite(own.sounds, logits=own.logits, attribution=own.path.attribution, score=own.score)
        frames = int(own.valid.sum())
        probabilities = self._probabilities(np.asarray(own.logits))
        prediction, target = next(iter(probabilities)), self.labels[int(own.target)]
        silent = bool(np.abs(clip).max() < SILENCE_PEAK)
        if self.model.classifier.reads == "audio" and not silent and not np.any(own.path.attribution):
            raise ModelError("the classifier's gradient with respect to the sound is zero, so nothing can be explained")
        difference = abs(float(own.path.value - own.path.baseline_value))
        state = convergence(own.path, tolerance=GAP_TOLERANCE)
        if settings.ranking == AMORTISED:
            state = Convergence(True, "The ranking does not use the attribution, which is shown for orientation.")
        fixed = {
            "prediction": prediction,
            "prediction_probability": probabilities[prediction],
            "target": target,
            "target_probability": probabilities[target],
            "probabilities": probabilities,
            "completeness_gap": abs(float(own.path.gap)) / difference if difference > FLOOR else None,
            "converged": state.reliable,
            "convergence": state.message,
            "versus": None if own.versus < 0 else self.labels[int(own.versus)],
            "sound_alone": settings.ranking == MATCHED and not tells_features(self.model.classifier),
            "adversarial": settings.ranking == ADVERSARIAL,
            "target_absent": bool((own.score[:frames] <= NEVER).all()),
            **self._control(own.control),
            "model_warning": " ".join(self.warnings) or None,
            "silent": silent,
            "sample_rate": self.sample_rate,
            "frame_rate": self.sample_rate / self.model.codec.hop,
            "attribution": own.path.attribution[:frames],
            "score": own.score[:frames],
            "recording": clip,
            "settings": settings,
        }
        share = self._share(own.sounds, clip, prediction, target, fixed["versus"], settings.keep)
        return _measured(Explanation(**fixed, **share), clip)

    def _control(self, own: Control | None) -> dict:
        """The fields of an `Explanation` that tell of the wrong-target control."""
        if own is None or own.target < 0:
            return dict.fromkeys(("control_target", "control_probability", "control_heard"))
        label, heard = self.labels[int(own.target)], self._probabilities(np.asarray(own.logits))
        if not own.made:
            return {"control_target": label, "control_probability": None, "control_heard": False}
        first = next(iter(heard)) == label
        return {"control_target": label, "control_probability": heard[label], "control_heard": first}

    def _share(
        self, sounds: Sounds, clip: np.ndarray, prediction: str, target: str, versus: str | None, keep: float
    ) -> dict:
        """The fields of an `Explanation` that depend on the share of kept elements, and those of the reconstruction."""
        logits = np.asarray(sounds.logits)
        whole, kept, residual = (self._probabilities(row) for row in logits[DOMAINS.index("audio")])
        heard = np.array(self.labels)[logits.argmax(-1)] == prediction
        latent, _, moved = heard
        audio = sounds.audio[:, : len(clip)]
        audio = audio[..., 0] if audio.shape[-1] == 1 else audio
        return {
            "keep": keep,
            "mask": sounds.mask[: self.model.codec.frames(len(clip))],
            "reconstruction": audio[0],
            "audio": audio[1],
            "residual": audio[2],
            "reconstruction_agrees": next(iter(whole)) == prediction,
            "reconstruction_probability": whole[target],
            "reconstruction_agrees_shifted": bool(moved[0]),
            "sufficient": next(iter(kept)) == prediction,
            "necessary": next(iter(residual)) != prediction,
            "explanation_probability": kept[target],
            "explanation_probabilities": kept,
            "residual_probability": residual[target],
            "versus_probabilities": {}
            if versus is None
            else {"reconstruction": whole[versus], "explanation": kept[versus], "residual": residual[versus]},
            "sufficient_shifted": bool(moved[1]),
            "necessary_shifted": not moved[2],
            "latent_sufficient": bool(latent[1]),
            "latent_necessary": not latent[2],
            "gain": float(sounds.gain),
            "metrics": {},
        }

    def _probabilities(self, logits: np.ndarray) -> dict[str, float]:
        """Probability of each label, highest first."""
        shifted = np.exp(logits - logits.max())
        probabilities = shifted / shifted.sum()
        return {self.labels[i]: float(probabilities[i]) for i in np.argsort(-probabilities, stable=True)}


def _row(batch: Any, row: int) -> Any:
    """What a batch of arrays holds of one clip."""
    return jax.tree.map(lambda a: a[row], batch)


def _measured(explanation: Explanation, clip: np.ndarray) -> Explanation:
    """The explanation with all metrics; those that are not finite are None."""
    values = {name: float(METRICS[name](explanation, clip)) for name in METRICS.names()}
    metrics = {name: value if np.isfinite(value) else None for name, value in values.items()}
    return dataclasses.replace(explanation, metrics=metrics)
