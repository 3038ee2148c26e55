"""All scores of one clip by a plan: encode it, order its elements, edit, classify."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.evaluation.attribution_metrics import measure
from audex_jax.evaluation.edits import EditScores, edit_scores, encode_clip, score_latent_edits
from audex_jax.evaluation.input_space import score_sound_edits
from audex_jax.evaluation.orders import MEASURED, order_elements
from audex_jax.evaluation.plan import WHOLE, Plan, lay_out
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import EncodedClip, filler_latent, suited


class Evaluator:
    """Scores single clips by one plan on one device; holds what all clips share."""

    def __init__(self, explainer: Explainer, plan: Plan, chunk: int, device: Any = None):
        """Put the model on a device.

        Args:
            explainer: the model.
            plan: what to measure.
            chunk: edits classified at once.
            device: None for the default one.
        """
        self.model, self.plan, self.chunk = jax.device_put(explainer.model, device), plan, chunk
        self.layout, self.settings = lay_out(plan), plan.settings
        frames = int(self.model.codec.frames(explainer.clip_samples))
        make = compile_step(filler_latent, static_argnames=("frames", "settings"))
        self.fillers = {
            (name, seed): make(self.model, frames, Settings(filler=name, seed=seed))
            for name, seed in (*plan.draws, ("mean", 0))
            if name != "other"
        }
        latent = [plan.arms[name] for name in plan.latent_methods]
        self.fixed = tuple(dict.fromkeys([arm for arm in latent if not arm.random] + [MEASURED]))
        self.random = tuple(arm for arm in latent if arm.random)

    def score(self, audio: np.ndarray, length: int, others: Sequence[tuple[np.ndarray, int]], number: int) -> dict:
        """All scores of one clip, as NumPy arrays named as in `Scores`.

        Args:
            audio: zero-padded, `[n, c]`.
            length: its own samples.
            others: a clip of another label and its length for each seed, where the filler `other` is used.
            number: of the clip; with the seed it decides what random methods draw.
        """
        clip = encode_clip(self.model, audio, length)
        seeds = [int(np.random.default_rng([seed, number]).integers(2**31)) for seed in range(self.plan.seeds)]
        ranks, attribution = self._orders(clip, seeds)
        fillers = [
            encode_clip(self.model, *others[seed]).latent if name == "other" else self.fillers[name, seed]
            for name, seed in self.plan.draws
        ]
        latent = score_latent_edits(self.model, clip, ranks, jnp.stack(fillers), self.layout.edits, self.chunk)
        curves = [jax.tree.map(lambda a: np.asarray(a)[self.layout.curves], latent), *self._sound_curves(clip, seeds)]
        label, probability, softened = (np.concatenate(parts) for parts in zip(*curves, strict=True))
        whole = edit_scores(clip.logits[None], clip.target)
        reconstruction = jax.tree.map(lambda a: a[WHOLE, 1], latent)
        return {
            "predicted": np.int16(clip.target),
            "reconstructed": np.int16(reconstruction.label),
            "probability": np.array([whole.probability[0], reconstruction.probability], np.float32),
            "softened": np.array([whole.softened[0], reconstruction.softened], np.float32),
            "edited_label": label.astype(np.int16),
            "edited_probability": probability.astype(np.float32),
            "edited_softened": softened.astype(np.float32),
            "attribution": attribution,
        }

    def _orders(self, clip: EncodedClip, seeds: Sequence[int]) -> tuple[jax.Array, np.ndarray]:
        """Ranks in the order of the layout, `[o, t, d]`, and the metrics of the attribution, `[f, a]`."""
        found, metrics = {}, []
        for filler in self.plan.fillers:
            baseline = self.fillers["mean" if filler == "other" else filler, 0]
            ranks, paths = order_elements(self.model, clip, baseline, self.fixed, self.settings)
            found |= {(arm, filler, 0): order for arm, order in ranks.items()}
            own = suited(self.model, dataclasses.replace(self.settings, method=MEASURED.method))
            metrics.append(np.asarray(measure(self.model, clip, baseline, paths[MEASURED.method], own)))
            for number, seed in enumerate(seeds if self.random else ()):
                ranks, _ = order_elements(self.model, clip, baseline, self.random, self.settings, seed)
                found |= {(arm, filler, number): order for arm, order in ranks.items()}
        wanted = [(self.plan.arms[name], filler, seed) for name, filler, seed in self.layout.orders]
        return jnp.stack([found[one] for one in wanted or list(found)[:1]]), np.stack(metrics)

    def _sound_curves(self, clip: EncodedClip, seeds: Sequence[int]) -> list[EditScores]:
        """The scores of each row of an arm that edits the sound, `[1, v, mode, w]`."""
        levels, delete = (
            np.repeat(np.asarray(self.plan.grid, np.float32), 2),
            np.tile([False, True], len(self.plan.grid)),
        )
        curves = []
        for row in self.plan.rows[len(self.layout.curves) :]:
            arm = self.plan.arms[row.method]
            found = score_sound_edits(self.model, clip, seeds[row.seed], levels, delete, arm, self.settings, self.chunk)
            curves.append(jax.tree.map(lambda a: np.asarray(a).reshape(1, len(self.plan.grid), 2, -1), found))
        return curves
