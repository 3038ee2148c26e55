"""The explainer: codec, classifier and labels as one loadable thing, and what it says about a clip."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax import bundles
from audex_jax.attribution.convergence import Verdict, verdict
from audex_jax.attribution.integrated_gradients import FLOOR, PathAttribution
from audex_jax.classifiers.latent import ClassifierConfig, LatentClassifier
from audex_jax.core.errors import AudexError
from audex_jax.explain.step import BatchExplanation, Listened, Model, Settings, explain_step, listen_step
from audex_jax.io.audio import SILENCE_PEAK

GAP_TOLERANCE = 0.05  # completeness gap above which an explanation is flagged


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why one clip was classified as it was, in numbers and in sound. Arrays are NumPy.

    Attributes:
        label: target that was explained (the predicted label unless another was asked for).
        probability: of the target, read off the clip.
        predicted: label that the classifier gives the clip.
        probabilities: of all labels, `{label: share}`, most probable first.
        attribution: of every latent element for the target logit, `[t, d]`.
        score: what ranks the elements, `[t, d]`; see `Settings.ranking`.
        mask: elements that the explanation keeps, the top share by score, `[t, d]`.
        audio: the explanation, only what was kept, `[n]` or `[n, c]`.
        residual: the rest, with the important elements taken out.
        reconstruction: what the codec makes of the whole clip.
        sample_rate: of the three, in Hz.
        completeness_gap: |sum of attributions - difference of logits| as a share of that difference.
        verdict: can the attribution be relied on, and if not, what to do?
        latent_sufficient, sufficient: does the explanation still get the same label, as a latent, and as audio that
            is encoded and classified again?
        explanation_probability: of the target, read off the explanation's audio.
        explanation_probabilities: of all labels, read off the explanation's audio, most probable first.
        latent_necessary, necessary: does the rest get another label?
        reconstruction_agrees: does the plain reconstruction get the same label? If not, no explanation can.
        silent: the clip holds no sound above -80 dBFS; its explanation means nothing.
        settings: how it was made.
    """

    label: str
    probability: float
    predicted: str
    probabilities: dict[str, float]
    attribution: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    audio: np.ndarray
    residual: np.ndarray
    reconstruction: np.ndarray
    sample_rate: int
    completeness_gap: float
    verdict: Verdict
    latent_sufficient: bool
    sufficient: bool
    explanation_probability: float
    explanation_probabilities: dict[str, float]
    latent_necessary: bool
    necessary: bool
    reconstruction_agrees: bool
    silent: bool
    settings: Settings

    @property
    def gap_flagged(self) -> bool:
        """The attribution does not add up to within 5 %: use more steps before trusting single elements."""
        return not self.completeness_gap <= GAP_TOLERANCE

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, three players and the picture."""
        from audex_jax.report.notebook import explanation_html

        return explanation_html(self)


class Explainer:
    """A codec and a classifier of its latents, ready to explain.

    >>> explainer = load_explainer("mini-speech-commands")
    >>> explainer.sample_rate, len(explainer.labels)
    (16000, 17)
    """

    def __init__(self, model: Model, labels: Sequence[str], clip_seconds: float, bandwidth: float | None):
        self.weights = weights
        self.labels = tuple(labels)
        self.clip_seconds = clip_seconds
        self.bandwidth = bandwidth

    @property
    def sample_rate(self) -> int:
        """Of the audio that `explain` reads, in Hz."""
        return self.weights.codec.config.sample_rate

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

    def explain(self, audio: np.ndarray, target: str | None = None, **settings) -> Explanation:
        """Explain one clip.

        Args:
            audio: samples `[n]` (or `[n, c]`) at `sample_rate`, up to `clip_samples` of them.
            target: label to explain; None for the predicted one.
            **settings: fields of `Settings`, for example `keep=0.1`.

        Returns:
            The explanation, with what became of it as audio.

        Raises:
            AudexError: the clip is empty, too long or holds values that are not finite; an unknown label or setting.
        """
        return self.explain_clips([audio], target, Settings(**settings))[0]

    def explain_clips(
        self, clips: Sequence[np.ndarray], target: str | None = None, settings: Settings | None = None
    ) -> list[Explanation]:
        """Explain several clips in one batch; see `explain`. Each batch size compiles once."""
        settings = settings or Settings()
        return self.explanations(self.start(clips, target, settings), clips, settings)

    def start(self, clips: Sequence[np.ndarray], target: str | None, settings: Settings) -> BatchExplanation:
        """Let the device begin to explain several clips in one batch; `explanations` waits for it."""
        audio, lengths = self.pad(clips)
        targets = np.full(len(clips), self.target_index(target), np.int32)
        return explain_step(self.weights, audio, lengths, targets, settings, self.bandwidth)

    def listen_at(
        self, keep: float, clips: Sequence[np.ndarray], explanations: Sequence[Explanation]
    ) -> list[Explanation]:
        """The same scores at another share of kept elements: other masks, other sounds, judged anew.

        Far cheaper than to explain again, and compiled once for all shares.

        Args:
            keep: share of the latent elements to keep, 0 to 1.
            clips: as given to `explain_clips`.
            explanations: what it returned for them.

        Raises:
            AudexError: a share outside 0 to 1, or another number of explanations than of clips.
        """
        settings = dataclasses.replace(explanations[0].settings, keep=keep)
        if len(clips) != len(explanations):
            raise AudexError(f"{len(clips)} clips, but {len(explanations)} explanations; give one for each")
        audio, lengths = self.pad(clips)
        config = self.weights.codec.config
        score = np.zeros((len(clips), config.frames(self.clip_samples), config.dim), np.float32)
        for row, explanation in enumerate(explanations):
            score[row, : len(explanation.score)] = explanation.score
        any_keep = dataclasses.replace(settings, keep=0.0)
        batch = listen_step(self.weights, audio, lengths, score, keep, any_keep, self.bandwidth)
        host: Any = jax.tree.map(np.asarray, batch)
        return [
            dataclasses.replace(e, settings=settings, **self._listened(host, row, clip, e.predicted, e.label))
            for row, (clip, e) in enumerate(zip(clips, explanations, strict=True))
        ]

    def pad(self, clips: Sequence[np.ndarray], samples: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Clips as one batch `[b, n, c]`, zero-padded to `samples` (`clip_samples`), and their lengths `[b]`."""
        channels = self.weights.codec.config.channels
        audio = np.zeros((len(clips), samples or self.clip_samples, channels), np.float32)
        lengths = np.zeros(len(clips), np.int32)
        for row, clip in enumerate(clips):
            clip = np.asarray(clip, np.float32)
            clip = clip[:, None] if clip.ndim == 1 else clip
            if clip.ndim != 2 or clip.shape[1] not in (1, channels):
                raise AudexError(f"audio has shape {clip.shape}; expected [samples] or [samples, {channels}]")
            if not 0 < len(clip) <= self.clip_samples:
                raise AudexError(
                    f"a clip has {len(clip)} samples; this explainer takes 1 to {self.clip_samples} "
                    f"({self.clip_seconds:g} s at {self.sample_rate} Hz): cut longer recordings with `segments`"
                )
            if not np.isfinite(clip).all():
                raise AudexError("a clip holds samples that are not finite numbers; repair it first")
            audio[row, : len(clip)] = clip
            lengths[row] = len(clip)
        return audio, lengths

    def explanations(self, batch: Any, clips: Sequence[np.ndarray], settings: Settings) -> list[Explanation]:
        """What `explain_step` returned for `clips`, clip by clip, as NumPy arrays; rows of padding are left out."""
        host = jax.tree.map(np.asarray, batch)
        return [self._unpack(host, row, clip, settings) for row, clip in enumerate(clips)]

    def segments(self, audio: np.ndarray) -> list[np.ndarray]:
        """Cut a recording into clips of `clip_samples`; the last one is shorter, unless that leaves under 0.1 s."""
        pieces = [audio[i : i + self.clip_samples] for i in range(0, len(audio), self.clip_samples)]
        if len(pieces) > 1 and len(pieces[-1]) < 0.1 * self.sample_rate:
            pieces.pop()
        return pieces

    def _unpack(self, batch: Any, row: int, clip: np.ndarray, settings: Settings) -> Explanation:
        probabilities = self._shares(batch.logits[row])
        predicted, target = next(iter(probabilities)), self.labels[int(batch.target[row])]
        path = PathAttribution(*(getattr(batch, field)[row] for field in PathAttribution._fields))
        difference, gap = abs(float(path.value - path.baseline_value)), abs(float(path.gap))
        return Explanation(
            label=target,
            probability=probabilities[target],
            predicted=predicted,
            probabilities=probabilities,
            attribution=batch.attribution[row, : int(batch.valid[row].sum())],
            score=batch.score[row, : int(batch.valid[row].sum())],
            sample_rate=self.sample_rate,
            completeness_gap=gap / difference if difference > FLOOR else float("nan"),
            verdict=verdict(path, tolerance=GAP_TOLERANCE),
            silent=bool(np.abs(clip).max() < SILENCE_PEAK),
            settings=settings,
            **self._listened(batch, row, clip, predicted, target),
        )

    def _listened(
        self, batch: BatchExplanation | Listened, row: int, clip: np.ndarray, predicted: str, target: str
    ) -> dict[str, Any]:
        """The fields of an `Explanation` that depend on the share of kept elements."""

        def sound(audio) -> np.ndarray:
            own = np.asarray(audio)[row, : len(clip)]
            return own[:, 0] if own.shape[1] == 1 else own

        def says(logits) -> bool:
            return self.labels[int(logits.argmax())] == predicted

        heard = np.asarray(batch.heard)[:, row]
        explanation_probabilities = self._shares(heard[1])
        return {
            "mask": np.asarray(batch.mask)[row, : self.weights.codec.config.frames(len(clip))],
            "audio": sound(batch.kept),
            "residual": sound(batch.deleted),
            "reconstruction": sound(batch.reconstruction),
            "latent_sufficient": says(batch.kept_logits[row]),
            "sufficient": says(heard[1]),
            "explanation_probability": explanation_probabilities[target],
            "explanation_probabilities": explanation_probabilities,
            "latent_necessary": not says(batch.deleted_logits[row]),
            "necessary": not says(heard[2]),
            "reconstruction_agrees": says(heard[0]),
        }

    def _shares(self, logits: np.ndarray) -> dict[str, float]:
        """Probability of each label, most probable first."""
        probabilities = _softmax(logits)
        return {self.labels[i]: float(probabilities[i]) for i in np.argsort(-probabilities, stable=True)}


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def save_explainer(directory: str | os.PathLike, explainer: Explainer, origin: dict, dtype: type = np.float32) -> None:
    """Write an explainer bundle, whole or not at all; `origin` says where it comes from and what it reaches."""
    codec, classifier, mean_latent = explainer.model
    description = {
        "codec": dataclasses.asdict(codec.config),
        "classifier": dataclasses.asdict(classifier.config),
        "labels": list(explainer.labels),
        "clip_seconds": explainer.clip_seconds,
        "bandwidth": explainer.bandwidth,
        "origin": origin,
    }
    modules = {"codec": codec, "classifier": classifier}
    bundles.save_bundle(directory, description, modules, dtype, {"mean_latent": np.asarray(mean_latent)})


def load_explainer(name: str | os.PathLike) -> Explainer:
    """Load a bundled explainer by its name, or any explainer bundle by its folder.

    Raises:
        BundleError: no such bundle, or one that does not fit.
    """
    directory = bundle_path(name)
    description = bundles.read_description(directory)
    if "classifier" not in description:
        raise bundles.BundleError(f"{directory}: this bundle is a codec; train a classifier on it with audex train")
    codec = bundles.load_codec(directory)
    try:
        config = ClassifierConfig.from_dict(description["classifier"])
    except (TypeError, ValueError) as error:
        raise bundles.BundleError(f"{directory}: {error}") from None
    path = directory / "classifier.safetensors"
    arrays = bundles.read_arrays(path)
    mean_latent = jnp.asarray(arrays.pop("statistics.mean_latent"))
    classifier = bundles.module_from(lambda: LatentClassifier(config, rngs=None), arrays, str(path))
    weights = Model(codec, classifier, mean_latent)
    return Explainer(weights, description["labels"], description["clip_seconds"], description["bandwidth"])


def bundle_path(name: str | os.PathLike) -> pathlib.Path:
    """Folder of a bundle that is named by its folder or, for those in the package, by its name."""
    bundled = pathlib.Path(__file__).parents[1] / "models" / str(name)
    return bundled if os.sep not in str(name) and (bundled / "bundle.json").exists() else pathlib.Path(name)
