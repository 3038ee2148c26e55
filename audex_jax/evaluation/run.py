"""Evaluate explanations over a labelled folder: clip by clip, a clip a device, resumable, everything kept per clip."""

import dataclasses
import hashlib
import json
import pathlib
import queue
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax import __version__
from audex_jax.core.errors import AudexError
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip
from audex_jax.devices.mapping import must_leave_a_thread
from audex_jax.evaluation.judge import judge_latent_edits, judge_sound_edits, judged, local_scores, look, order_elements
from audex_jax.evaluation.judge import random_order as draw_order
from audex_jax.evaluation.plan import Plan, Variants
from audex_jax.evaluation.shape import complexity, sparseness
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.step import Settings, filler_latent
from audex_jax.io.audio import SILENCE_PEAK, replacing
from audex_jax.io.progress import Bar

BLOCK = 8  # clips between two saves


@dataclasses.dataclass(frozen=True)
class Scores:
    """Everything that was judged. Arrays have the clips first.

    Attributes:
        plan: what was measured; its `rows` and `grid` name the axes r and v below.
        labels: names of the classes.
        files, speakers: of the clips; a speaker may be None.
        label, predicted, heard: class by the folder, and by the classifier on the clip and on the codec's
            reconstruction of it, `[c]`.
        probability: of the predicted class, read off the clip and off its reconstruction, `[c, 2]`.
        edited_label, edited_probability: class, and probability of the predicted one, of every edit:
            `[c, r, v, mode, way]` with modes keep and delete, ways latent and audio. Where a method edits the audio
            itself the latent's class is -1 and its probability NaN.
        softened, edited_softened: the probabilities after a second softmax, as SpeechBrain's AD takes them.
        gap: completeness gap of Integrated Gradients as a share of the difference, for each filler, `[c, f]`.
        sparseness, complexity, infidelity, sensitivity: of its attribution, `[c, f]`.
        silent: clips left out since they hold no sound.
    """

    plan: Plan
    labels: tuple[str, ...]
    files: tuple[str, ...]
    speakers: tuple[str | None, ...]
    label: np.ndarray
    predicted: np.ndarray
    heard: np.ndarray
    probability: np.ndarray
    edited_label: np.ndarray
    edited_probability: np.ndarray
    softened: np.ndarray
    edited_softened: np.ndarray
    gap: np.ndarray
    sparseness: np.ndarray
    complexity: np.ndarray
    infidelity: np.ndarray
    sensitivity: np.ndarray
    silent: int

    @property
    def agrees(self) -> np.ndarray:
        """Does the edit still get the predicted class? float, NaN where there is nothing to judge."""
        same = (self.edited_label == self.predicted[:, None, None, None, None]).astype(float)
        return np.where(self.edited_label < 0, np.nan, same)

    @property
    def correct(self) -> np.ndarray:
        """Does the edit get the folder's label? As `agrees`."""
        same = (self.edited_label == self.label[:, None, None, None, None]).astype(float)
        return np.where(self.edited_label < 0, np.nan, same)


PER_CLIP = (
    "predicted",
    "heard",
    "probability",
    "edited_label",
    "edited_probability",
    "softened",
    "edited_softened",
    "gap",
    "sparseness",
    "complexity",
    "infidelity",
    "sensitivity",
)


class Evaluator:
    """Scores single clips by one plan on one device; holds what all clips share."""

    def __init__(self, explainer: Explainer, plan: Plan, chunk: int, device: Any = None):
        self.weights = jax.device_put(explainer.model, device)
        self.bandwidth, self.plan, self.chunk = explainer.bandwidth, plan, chunk
        frames = explainer.model.codec.config.frames(explainer.clip_samples)
        make = jax.jit(filler_latent, static_argnums=(1, 2))
        own = [f for f in plan.fillers if f != "other"]
        self.fixed = {
            (name, seed): make(self.weights, frames, Settings(filler=name, seed=seed))
            for name, seed in plan.draws
            if name in own
        }
        self.mean = make(self.weights, frames, Settings(filler="mean"))
        self.fixed_methods = tuple(method for method in plan.latent_methods if method != "random")
        self._lay_out()

    def _lay_out(self) -> None:
        """Number orders, fillers and variants; the same for every clip."""
        plan, variants = self.plan, Variants()
        self.fillers = {draw: number for number, draw in enumerate(plan.draws)}
        self.curves = []
        for row in plan.rows:
            if row.method not in plan.latent_methods:
                continue
            if row.method == "random":
                order = len(plan.fillers) * len(self.fixed_methods) + row.seed
            else:
                order = plan.fillers.index(row.filler) * len(self.fixed_methods) + self.fixed_methods.index(row.method)
            draw = (row.filler, row.seed if (row.filler, row.seed) in self.fillers else 0)
            self.curves.append(variants.add_curves(order, self.fillers[draw], plan.grid))
        whole = variants.add(0, 0, 1.0, False)
        self.whole, self.variants = whole, variants.arrays()
        sound = Variants()
        self.sound_curve = sound.add_curves(0, 0, plan.grid)
        self.sound_variants = sound.arrays()

    def score(self, audio: np.ndarray, length: int, others: Sequence[tuple[np.ndarray, int]], number: int) -> dict:
        """All figures of one clip, as NumPy arrays named by `PER_CLIP`.

        Args:
            audio: zero-padded, `[n, c]`.
            length: its own samples.
            others: a clip of another label and its length for each seed, where the filler `other` is used.
            number: of the clip; with the seed it decides what random methods draw.
        """
        plan, weights, bandwidth = self.plan, self.weights, self.bandwidth
        clip = look(weights, audio, length, bandwidth)
        fillers = [
            look(weights, *others[seed], bandwidth).latent if name == "other" else self.fixed[name, seed]
            for name, seed in plan.draws
        ]
        baselines = [self.mean if filler == "other" else self.fixed[filler, 0] for filler in plan.fillers]
        orders = [
            order_elements(
                weights,
                clip,
                baseline,
                self.fixed_methods,
                plan.rule,
                plan.steps,
                plan.refinement if "refined" in plan.methods else 0,
            )
            for baseline in baselines
        ]
        keys = [jax.random.fold_in(jax.random.key(seed), number) for seed in range(plan.seeds)]
        ranks = [order.ranks for order in orders]
        if "random" in plan.methods:
            ranks += [draw_order(key, clip)[None] for key in keys]
        every = jnp.concatenate(ranks)
        if not len(every):  # nothing but input methods; the whole clip is judged all the same
            every = jnp.zeros((1, *clip.latent.shape), jnp.int32)
        found = judge_latent_edits(weights, clip, every, jnp.stack(fillers), self.variants, bandwidth, self.chunk)
        curves = [jax.tree.map(lambda a, at=at: np.asarray(a)[at], found) for at in self.curves]
        for row in plan.rows[len(curves) :]:
            edits = judge_sound_edits(
                weights,
                clip,
                keys[row.seed],
                self.sound_variants[2],
                self.sound_variants[3],
                row.method,
                plan.rule,
                plan.steps,
                bandwidth,
                self.chunk,
            )
            curves.append(jax.tree.map(lambda a: np.asarray(a)[self.sound_curve], edits))
        whole = judged(clip.logits, clip.target)
        local = [
            local_scores(weights, clip, baseline, o.attribution, keys[0], plan.rule, plan.steps)
            for baseline, o in zip(baselines, orders, strict=True)
        ]
        shapes = np.array([shape_of(o.attribution, clip.valid) for o in orders], np.float32)
        return {
            "predicted": np.int16(clip.target),
            "heard": np.int16(found.label[self.whole, 1]),
            "probability": np.array([whole.probability, found.probability[self.whole, 1]], np.float32),
            "softened": np.array([whole.softened, found.softened[self.whole, 1]], np.float32),
            "edited_label": np.stack([c.label for c in curves]).astype(np.int16),
            "edited_probability": np.stack([c.probability for c in curves]).astype(np.float32),
            "edited_softened": np.stack([c.softened for c in curves]).astype(np.float32),
            "gap": np.array([abs(o.gap) / max(abs(float(o.difference)), 1e-3) for o in orders], np.float32),
            "sparseness": shapes[:, 0],
            "complexity": shapes[:, 1],
            "infidelity": np.array([one for one, _ in local], np.float32),
            "sensitivity": np.array([one for _, one in local], np.float32),
        }


@jax.jit
def shape_of(attribution: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sparseness and complexity over the clip's own frames; padding has no attribution and counts as such."""
    own = attribution * valid[:, None]
    return sparseness(own), complexity(own)


def evaluate(
    explainer: Explainer,
    files: Sequence[LabelledClip],
    plan: Plan,
    scratch: pathlib.Path | None = None,
    chunk: int = 8,
    quiet: bool = True,
    devices: Sequence[Any] = (),
) -> Scores:
    """Score a plan's methods on labelled recordings.

    Args:
        explainer: the model.
        files: recordings; clips longer than the explainer's are cut.
        plan: what to measure.
        scratch: folder for what has been scored so far; a later call of the same plan, model and recordings goes on
            from there. None keeps nothing.
        chunk: edits judged at once; changes memory and speed only.
        quiet: show no progress.
        devices: that take a clip each; default: one. Changes the speed only.

    Raises:
        AudexError: no clip with sound, the filler `other` with clips of one label only, or devices of a CPU that leave
            no thread to spare (`parallel.must_leave_a_thread`).
        AudioError: names a recording that cannot be read.
    """
    must_leave_a_thread(devices)
    clips = [c[: explainer.clip_samples] for c in read_clips([f.path for f in files], explainer.sample_rate, quiet)]
    loud = [i for i, clip in enumerate(clips) if np.abs(clip).max() >= SILENCE_PEAK]
    silent = len(clips) - len(loud)
    files, clips = [files[i] for i in loud], [clips[i] for i in loud]
    if not clips:
        raise AudexError(f"none of {silent} recordings holds any sound; nothing to evaluate")
    mixes = "other" in plan.fillers
    if mixes and len({f.label for f in files}) < 2:
        raise AudexError("the filler `other` takes clips of another label, and all clips have one label; add clips")
    store = Store(scratch, fingerprint(explainer, files, plan))
    audio, lengths = explainer.pad(clips)
    free: queue.SimpleQueue[Evaluator] = queue.SimpleQueue()
    for device in devices or jax.local_devices()[:1]:
        free.put(Evaluator(explainer, plan, chunk, device))

    def score(number: int) -> dict:
        others = [other_clip(files, number, seed) for seed in range(plan.seeds)] if mixes else []
        evaluator = free.get()
        try:
            return evaluator.score(audio[number], lengths[number], [(audio[j], lengths[j]) for j in others], number)
        finally:
            free.put(evaluator)

    done: list[dict] = []
    with Bar("evaluating", len(clips), quiet) as bar, ThreadPoolExecutor(free.qsize()) as pool:
        for first in range(0, len(clips), BLOCK):
            block = store.load(first)
            if block is None:
                found = []
                for one in pool.map(score, range(first, min(first + BLOCK, len(clips)))):
                    found.append(one)
                    bar.update(first + len(found))
                block = {name: np.stack([one[name] for one in found]) for name in PER_CLIP}
                store.save(first, block)
            done.append(block)
            bar.update(min(first + BLOCK, len(clips)))
    together = {name: np.concatenate([block[name] for block in done]) for name in PER_CLIP}
    label = np.array([explainer.labels.index(f.label) for f in files])
    names = tuple(f"{f.path.parent.name}/{f.path.name}" for f in files)
    speakers = tuple(f.speaker for f in files)
    return Scores(plan, explainer.labels, names, speakers, label, silent=silent, **together)


def other_clip(files: Sequence[LabelledClip], number: int, seed: int) -> int:
    """Number of a clip of another label than that of clip `number`; the same seed draws the same one."""
    rng = np.random.default_rng([seed, number])
    others = [i for i, f in enumerate(files) if f.label != files[number].label]
    return others[int(rng.integers(len(others)))]


def choose(files: Sequence[LabelledClip], limit: int | None) -> list[LabelledClip]:
    """At most `limit` recordings in an order that mixes labels and is always the same."""
    order = np.random.default_rng(0).permutation(len(files))
    return [files[i] for i in order[:limit]]


def fingerprint(explainer: Explainer, files: Sequence[LabelledClip], plan: Plan) -> dict[str, Any]:
    """What a result depends on; results of one fingerprint may be joined."""
    return {
        "version": __version__,
        "plan": json.loads(json.dumps(dataclasses.asdict(plan))),
        "model": weights_hash(explainer),
        "recordings": hashlib.sha256("\n".join(f"{f.path} {f.label}" for f in files).encode()).hexdigest(),
    }


def weights_hash(explainer: Explainer) -> str:
    """SHA-256 over all weights, as 12 hexadecimal digits."""
    leaves = jax.tree.leaves(explainer.model)
    joined = hashlib.sha256(b"".join(hashlib.sha256(np.asarray(leaf).tobytes()).digest() for leaf in leaves))
    joined.update(repr(explainer.bandwidth).encode())
    return joined.hexdigest()[:12]


class Store:
    """Blocks of scored clips on disk; without a folder it keeps nothing."""

    def __init__(self, folder: pathlib.Path | None, mark: dict):
        self.folder = folder
        if folder is None:
            return
        path = folder / "of.json"
        if folder.exists() and (not path.exists() or json.loads(path.read_text(encoding="utf-8")) != mark):
            shutil.rmtree(folder)  # of another plan, model or data
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(mark), encoding="utf-8")

    def load(self, first: int) -> dict | None:
        if self.folder is None or not (self.folder / f"{first:06d}.npz").exists():
            return None
        with np.load(self.folder / f"{first:06d}.npz") as stored:
            return {name: stored[name] for name in PER_CLIP}

    def save(self, first: int, block: dict) -> None:
        if self.folder is not None:
            with replacing(self.folder / f"{first:06d}.npz") as temporary, temporary.open("wb") as file:
                np.savez(file, **block)
