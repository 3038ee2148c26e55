"""Evaluation: do explanations hold what they promise, judged as latents and by what they sound like?"""

from audex_jax.evaluation.plan import METHODS as METHODS
from audex_jax.evaluation.plan import Plan as Plan
from audex_jax.evaluation.run import Scores as Scores
from audex_jax.evaluation.run import evaluate as evaluate
from audex_jax.evaluation.summary import summarise as summarise
