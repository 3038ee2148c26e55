"""Can explanations of this model on this data be trusted? Known ways to fail, each with its figure and a verdict."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from audex_jax.attribution.controls import can_be_shuffled
from audex_jax.core.errors import listing
from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.evaluation import sanity
from audex_jax.evaluation.blocks import explain_all
from audex_jax.evaluation.controls import run_controls
from audex_jax.evaluation.plan import MODES, Plan, Row
from audex_jax.evaluation.run import evaluate
from audex_jax.evaluation.scores import Scores
from audex_jax.evaluation.statistics import all_or_none, bootstrap, bracket, compare
from audex_jax.evaluation.strangers import MEAN, summarise_strangers
from audex_jax.evaluation.summary import Curves, curves_of
from audex_jax.evaluation.transfer import ask_strangers
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import DOMAINS, has_gradient
from audex_jax.explain.result import Explanation
from audex_jax.io.audio import level_db

HOLDS = 0.8  # share of clips whose reconstruction must keep the prediction
KEEPS, DELETES = 0.8, 0.6  # share of those that the explanation must keep, and that the residual must lose
SURVIVES = 0.8  # share of either that must be left when sounds are moved by half a codec frame
HEARD, FORCED = 0.1, 0.2  # share of wrong targets that may be heard
FLOOR = 0.15  # above the loudest elements, on shuffled weights
TOO_FEW = " (too few clips or speakers for an interval)"
QUIET_DB = -12.0  # level of explanations below reconstructions
EXCESS = 0.3  # share of clips that may be given one label beyond those that have it
COLLAPSED = 0.6  # share of one class among the answers to edited latents
LISTENED, LOOKED = 24, 16  # clips for level and controls, and for the sanity check
RIVALS = ("magnitude", "random", "waveform-ig", "spectrum-ig")  # the first two need no gradient
SHARE = 1  # in the plan's grid: behind keeping nothing
AUDIO, SHIFTED = DOMAINS.index("audio"), DOMAINS.index("shifted")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One question, whether the answer is good, and the answer with its figure."""

    question: str
    fine: bool
    answer: str


def check(
    explainer: Explainer,
    files: Sequence[LabelledClip],
    settings: Settings | None = None,
    strangers: Mapping[str, Explainer] | None = None,
    chunk: int = 16,
    quiet: bool = True,
) -> list[Finding]:
    """Ask every question of a model, recordings of its labels, and a way of explaining: what its user gets.

    Args:
        explainer: the model.
        files: labelled recordings that it was not trained on.
        settings: the way; default: that of `audex explain`.
        strangers: classifiers trained apart, by name; with them the explanations must transfer.
        chunk: edits classified at once.
        quiet: show no progress.

    Raises:
        ValueError: no recording with sound.
    """
    settings = explainer.suited(settings or Settings())
    rivals = RIVALS if has_gradient(explainer.model.classifier) else RIVALS[:2]
    own = f"{settings.method}:{settings.ranking}"
    plan = Plan(
        (own, *rivals),
        (settings.filler,),
        (settings.keep,),
        seeds=1,
        rule=settings.rule,
        steps=settings.steps,
        mask_steps=settings.mask_steps,
        budget=settings.budget,
    )
    scores = evaluate(explainer, files, plan, None, chunk, quiet)
    curves = curves_of(scores)
    speakers = all_or_none(scores.speakers)
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files[:LISTENED]], explainer.sample_rate)]
    explained = list(explain_all(explainer, clips, settings, control=True))
    findings = [
        *(Finding("is the classifier sound, by its own bundle?", False, warning) for warning in explainer.warnings),
        _reconstruction(scores),
        _classifier(scores),
        _collapse(scores),
        _fidelity(scores, curves[0]),
        _shift(scores, curves[0]),
        *_controls(explainer, clips, settings, explained, quiet),
        _rivals(curves, speakers),
        _level(explained),
        _edits(scores),
    ]
    if can_be_shuffled(explainer.model.classifier):
        findings.append(_sanity(explainer, clips[:LOOKED]))
    if strangers:
        findings.append(_strangers(explainer, strangers, files, own, settings, chunk, quiet))
    return findings


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


def _shares(scores: Scores, curve: Curves, domain: int) -> tuple[float, float, float]:
    """At the share that the user gets: kept, deleted, and what the reconstruction does, as shares of the clips."""
    kept, residual = curve.agrees[:, SHARE, :, domain].mean(0)
    return float(kept), float(1 - residual), float(curve.agrees[:, -1, MODES.index("keep"), domain].mean())


def _fidelity(scores: Scores, curve: Curves) -> Finding:
    kept, deleted, ceiling = _shares(scores, curve, AUDIO)
    answer = f"with {scores.plan.levels[0]:.0%} of what sounds kept, {kept:.1%} of explanations keep the prediction"
    answer += f" and {deleted:.1%} of residuals lose it"
    fine = kept >= KEEPS * ceiling and deleted >= DELETES
    if not fine:
        answer += f" (wanted {KEEPS * ceiling:.1%} and {DELETES:.0%}): try another ranking or filler, or keep more"
    return Finding("do explanations keep the prediction, and residuals lose it?", fine, answer)


def _shift(scores: Scores, curve: Curves) -> Finding:
    kept, deleted, _ = _shares(scores, curve, AUDIO)
    moved_kept, moved_deleted, ceiling = _shares(scores, curve, SHIFTED)
    answer = (
        f"moved by half a codec frame {moved_kept:.1%} keep it (reconstructions: {ceiling:.1%}) and "
        f"{moved_deleted:.1%} lose it"
    )
    fine = moved_kept >= SURVIVES * min(kept, ceiling) and moved_deleted >= SURVIVES * deleted
    if not fine:
        answer += ": what was found lies in the codec's grid, not in the sound; use another ranking"
    return Finding("do explanations survive when their sound is moved?", fine, answer)


def _controls(
    explainer: Explainer,
    clips: Sequence[np.ndarray],
    settings: Settings,
    explained: Sequence[Explanation],
    quiet: bool,
) -> list[Finding]:
    found = run_controls(explainer, clips, settings, quiet=quiet, explained=explained).figures()
    heard, forced, count = found["wrong"]["mean"], found["forced"]["mean"], found["wrong"]["clips"]
    answer = f"of {count} sounds made for labels that are not there {heard:.1%} are classified as them"
    answer += f", forced to it {forced:.1%}" if count else ": every label is possible in every clip"
    fine = bool(count and heard <= HEARD and forced <= FORCED)
    if not fine:
        answer += f" (wanted at most {HEARD:.0%}, forced {FORCED:.0%}): this way can show whatever it is asked for"
    wrong = Finding("is a label that is not in the clip left unexplained?", fine, answer)
    if not can_be_shuffled(explainer.model.classifier):
        return [wrong]
    above = [found[f"{mode}_above_floor"] for mode in MODES]
    answer = "on shuffled weights explanations "
    answer += ", ".join(
        f"{mode} {found[mode]['mean']:.1%} against {found[f'floor_{mode}']['mean']:.1%} of the loudest elements"
        for mode in MODES
    )
    fine = all(not a["low"] > FLOOR for a in above)
    if not fine:
        answer += ": a model that has learnt nothing is explained as well; use another ranking"
    return [wrong, Finding("does a model of shuffled weights get no explanations?", fine, answer)]


def _rivals(curves: list[Curves], speakers: Sequence[Hashable] | None) -> Finding:
    sides = {c.method: (c.agrees[:, SHARE, 0, AUDIO] + 1 - c.agrees[:, SHARE, 1, AUDIO]) / 2 for c in curves}
    own, name = sides[curves[0].method], curves[0].method
    rivals = {method: compare(own, side, speakers) for method, side in sides.items() if method != name}
    rival, closest = min(rivals.items(), key=lambda item: item[1].difference)
    interval = bracket(closest.low, closest.high, "+.1%") or TOO_FEW
    answer = f"the mean of kept and deleted is {own.mean():.1%}: {closest.difference:+.1%}{interval} "
    answer += f"against the best rival, {rival}"
    fine = closest.low > 0
    if not fine:
        answer += ": latent attribution adds nothing that is certain here"
    return Finding("do explanations beat loudness, random ones and those of the input?", fine, answer)


def _strangers(
    explainer: Explainer,
    strangers: Mapping[str, Explainer],
    files: Sequence[LabelledClip],
    own: str,
    settings: Settings,
    chunk: int,
    quiet: bool,
) -> Finding:
    plan = Plan((own, "magnitude"), (settings.filler,), (settings.keep,), 1)
    found = summarise_strangers(ask_strangers(explainer, dict(strangers), files, plan, None, chunk, quiet))
    (at,) = [
        f for f in found["figures"] if f["stranger"] == MEAN and f["method"] == own and f["share"] == plan.levels[0]
    ]
    gains = {mode: at[f"{mode}_difference"] for mode in MODES}
    answer = f"{len(strangers)} classifiers trained apart, against the loudest elements: " + ", ".join(
        f"{mode} {gain['mean']:+.1%}{bracket(gain['low'], gain['high'], '+.1%') or TOO_FEW}"
        for mode, gain in gains.items()
    )
    fine = all(gain["low"] > 0 for gain in gains.values())
    if any(gain["low"] <= 0 for gain in gains.values()):
        answer += ": what is found is this classifier's own"
    return Finding("do other classifiers hear the same?", fine, answer)


def _level(explained: Sequence[Explanation]) -> Finding:
    levels = [level_db(e.audio) - level_db(e.reconstruction) for e in explained if not e.silent]
    median = float(np.median(levels)) if levels else -np.inf
    answer = f"explanations are {median:+.1f} dB against reconstructions (median of {len(levels)})"
    if median < QUIET_DB:
        answer += ": too quiet to judge by ear; keep more, or use the mean as filler"
    return Finding("can explanations be heard?", median >= QUIET_DB, answer)


def _sanity(explainer: Explainer, clips: Sequence[np.ndarray]) -> Finding:
    fine, words = sanity.assess(sanity.cascade(explainer, clips))
    return Finding("would a model that knows nothing be explained differently?", fine, words)


def _collapse(scores: Scores) -> Finding:
    count = len(scores.labels)
    called, true = (np.bincount(labels, minlength=count) / len(labels) for labels in (scores.predicted, scores.label))
    most = int((called - true).argmax())
    never = [scores.labels[i] for i in np.flatnonzero((called == 0) & (true > 0))]
    fine = bool(called[most] - true[most] < EXCESS and len(never) * 2 <= np.count_nonzero(true))
    answer = f"{called[most]:.1%} of clips are called {scores.labels[most]!r} (right: {true[most]:.1%})"
    if never:
        answer += f", none {listing([repr(label) for label in never], 6)}"
    if not fine:
        answer += ": the classifier has collapsed; train it again, with more clips of the labels that it never gives"
    return Finding("does the classifier use all of its labels?", fine, answer)


def _edits(scores: Scores) -> Finding:
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
