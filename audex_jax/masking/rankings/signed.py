"""The paper's ranking: evidence for the target first, evidence against it last (arXiv 2410.07530)."""

from audex_jax.core.types import Array, Attribution, ClipLatent, Float
from audex_jax.masking.rank import Context


def score(attribution: Attribution, latent: ClipLatent, filler: ClipLatent, context: Context) -> Float[Array, "t d"]:
    """The attribution itself."""
    return attribution
