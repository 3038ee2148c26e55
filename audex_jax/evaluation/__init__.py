"""Evaluation: are explanations faithful, as latents and as sound?

The public names, imported on first use: `plan` alone, which the command line reads, does not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audex_jax.evaluation.plan import Plan as Plan
    from audex_jax.evaluation.run import evaluate as evaluate
    from audex_jax.evaluation.scores import Scores as Scores
    from audex_jax.evaluation.summary import summarise as summarise

_HOME = {"Plan": "plan", "Scores": "scores", "evaluate": "run", "summarise": "summary"}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"audex_jax.evaluation.{_HOME[name]}"), name)
    raise AttributeError(f"module 'audex_jax.evaluation' has no attribute {name!r}")
