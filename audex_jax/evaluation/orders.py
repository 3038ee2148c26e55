"""Order the elements of one clip's latent by each arm, and measure the attribution that most of them start from."""

import dataclasses
from typing import NamedTuple

from audex_jax.attribution.path import PathAttribution
from audex_jax.core.host import compile_step
from audex_jax.core.settings import Settings
from audex_jax.core.types import Array, ClipLatent, Int
from audex_jax.evaluation.arms import OWN_ORDER, Arm
from audex_jax.explain.model import EncodedClip, Model, suited
from audex_jax.explain.step import attribute, rank
from audex_jax.masking.rank import element_ranks

MEASURED = Arm(Settings.method, OWN_ORDER)  # the arm whose attribution is measured itself


class Orders(NamedTuple):
    """Ranks of a clip's elements by each arm, `[t, d]` each, and the attributions by the arms' methods."""

    ranks: dict[Arm, Int[Array, "t d"]]
    paths: dict[str, PathAttribution]


def order_elements(
    model: Model, clip: EncodedClip, baseline: ClipLatent, arms: tuple[Arm, ...], settings: Settings, seed: int = 0
) -> Orders:
    """Order the latent elements of one clip by each arm; each method attributes once for all of its rankings.

    Args:
        model, clip: what is explained.
        baseline: of the attribution, and the filler that rankings which optimise a mask reckon with, `[t, d]`.
        arms: in the latent space.
        settings: `method` and `ranking` are those of the arms.
        seed: of methods that draw random numbers.
    """
    ranks, paths = _order(model, clip, baseline, seed, arms, settings)
    return Orders(dict(zip(arms, ranks, strict=True)), paths)


@compile_step(static_argnames=("arms", "settings"))
def _order(
    model: Model, clip: EncodedClip, baseline: ClipLatent, seed: Array, arms: tuple[Arm, ...], settings: Settings
) -> tuple[list[Array], dict[str, PathAttribution]]:
    paths: dict[str, PathAttribution] = {}
    ranks = []
    for arm in arms:
        own = suited(model, dataclasses.replace(settings, method=arm.method, ranking=arm.ranking, seed=seed))
        if arm.method not in paths:
            paths[arm.method] = attribute(model, clip, own, baseline)
        score = rank(model, clip, own, paths[arm.method].attribution, baseline)
        ranks.append(element_ranks(score, clip.sounding))
    return ranks, paths
