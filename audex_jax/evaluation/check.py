"""Can explanations of this model on this data be trusted? Known ways to fail, each with its figure and a verdict."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import sanity
from audex_jax.evaluation.plan import Plan, Row
from audex_jax.evaluation.run import evaluate
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.statistics import bootstrap, compare
from audex_jax.evaluation.summary import Curves, curves_of
from audex_jax.explain.explainer import Explainer
from audex_jax.io.audio import level_db

SOME, MANY = 0.2, 0.417  # shares kept
HOLDS = 0.8  # share of clips whose reconstruction must keep the prediction
FAITHFUL = 0.7  # share of those that the explanation must keep when MANY is kept
QUIET_DB = -12.0  # level of explanations below reconstructions
COLLAPSED = 0.6  # share of one class among the answers to edited latents
LISTENED, LOOKED = 24, 16  # clips for the level, and for the sanity check
RIVALS = ("magnitude", "random", "waveform-ig", "spectrum-ig")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One question, whether the answer is good, and the answer with its figure."""

    question: str
    fine: bool
    answer: str


def check(explainer: Explainer, files: Sequence[LabelledClip], chunk: int = 16, quiet: bool = True) -> list[Finding]:
    """Ask every question of a model and recordings of its labels.

    Args:
        explainer: the model.
        files: labelled recordings that it was not trained on.
        chunk: edits classified at once.
        quiet: show no progress.

    Raises:
        ValueError: no recording with sound.
    """
    default = Settings()
    plan = Plan((default.ranking, *RIVALS), (default.filler,), (SOME, MANY), seeds=1)
    scores = evaluate(explainer, files, plan, None, chunk, quiet)
    curves = curves_of(scores)
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files[:LISTENED]], explainer.sample_rate)]
    return [
        _reconstruction(scores),
        _classifier(scores),
        _fidelity(scores, curves[0]),
        _rivals(curves),
        _level(explainer, clips),
        _sanity(explainer, clips[:LOOKED]),
        _collapse(scores),
    ]


def _reconstruction(scores: Scores) -> Finding:
    share = float((scores.reconstructed == scores.predicted).mean())
    answer = f"{share:.1%} of reconstructions get the clip's own prediction"
    if share < HOLDS:
        answer += f" (wanted {HOLDS:.0%}): train the codec longer, or use one that was trained on such sound"
    return Finding("does the codec keep what the classifier listens to?", share >= HOLDS, answer)


def _classifier(scores: Scores) -> Finding:
    own, decoded = (bootstrap(labels == scores.label) for labels in (scores.predicted, scores.reconstructed))
    chance = 1 / len(scores.labels)
    answer = f"accuracy {own.mean:.3f} on latents, {decoded.mean:.3f} on decoded audio, chance {chance:.3f}"
    fine = bool(own.low > 2 * chance and decoded.mean >= HOLDS * own.mean)
    if not fine:
        answer += (
            ": an explanation of a guess is a guess; train the classifier first, with decoded clips among its data"
        )
    return Finding("does the classifier hold on latents and on decoded audio?", fine, answer)


def _fidelity(scores: Scores, curve: Curves) -> Finding:
    ceiling = float((scores.reconstructed == scores.predicted).mean())
    latent, audio = curve.agrees[:, 2, 0].mean(0)
    answer = f"with {MANY:.1%} kept {latent:.1%} of latents and {audio:.1%} of their audio keep the prediction"
    fine = bool(audio >= FAITHFUL * ceiling)
    if not fine:
        answer += f" (wanted {FAITHFUL * ceiling:.1%}): try another ranking or filler, or keep more"
    return Finding("do explanations keep the prediction?", fine, answer)


def _rivals(curves: list[Curves]) -> Finding:
    own = curves[0].agrees[:, 1, 0, 1]
    rivals = {c.method: compare(own, c.agrees[:, 1, 0, 1]) for c in curves[1:]}
    name, closest = min(rivals.items(), key=lambda item: item[1].difference)
    answer = (
        f"audio of {curves[0].method} with {SOME:.0%} kept agrees in {own.mean():.1%}: "
        f"{closest.difference:+.1%} [{closest.low:+.1%}, {closest.high:+.1%}] against the best rival, {name}"
    )
    fine = closest.low > 0
    if not fine:
        answer += ": latent attribution adds nothing that is certain here"
    return Finding("do latent explanations beat loudness, random ones and those of the input?", fine, answer)


def _level(explainer: Explainer, clips: Sequence[np.ndarray]) -> Finding:
    levels, size = [], 8
    for first in range(0, len(clips), size):
        some = list(clips[first : first + size])
        filled = some + some[:1] * (size - len(some))  # one shape, one program
        found = explainer.explain_clips(filled)[: len(some)]
        levels += [level_db(e.audio) - level_db(e.reconstruction) for e in found if not e.silent]
    median = float(np.median(levels)) if levels else -np.inf
    answer = f"explanations are {median:+.1f} dB against reconstructions (median of {len(levels)})"
    if median < QUIET_DB:
        answer += ": too quiet to judge by ear; keep more, or use the mean as filler"
    return Finding("can explanations be heard?", median >= QUIET_DB, answer)


def _sanity(explainer: Explainer, clips: Sequence[np.ndarray]) -> Finding:
    fine, words = sanity.assess(sanity.cascade(explainer, clips))
    return Finding("would a model that knows nothing be explained differently?", fine, words)


def _collapse(scores: Scores) -> Finding:
    row = scores.plan.rows.index(Row("random", scores.plan.fillers[0], 0))
    inner = scores.edited_label[:, row, 1:-1, :, 0].ravel()
    counts = np.bincount(inner, minlength=len(scores.labels))
    share, before = counts.max() / counts.sum(), float((scores.predicted == counts.argmax()).mean())
    fine = bool(share < COLLAPSED or share < 2 * before)
    answer = (
        f"{share:.1%} of randomly edited latents are called {scores.labels[counts.argmax()]!r} ({before:.1%} of clips)"
    )
    if not fine:
        answer += ": what is measured is that class, not the explanation; use another filler, or train with such edits"
    return Finding("does the classifier stand edited latents?", fine, answer)
