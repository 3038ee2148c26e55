"""Mask optimisation: start from a ranking and correct it by the gradient of what the two halves say.

An attribution says what each element adds along a path from the baseline. It does not say which elements carry the
decision *together*, and through the decoder. So take a few gradient steps on the ranking of one clip, down

    L = sum over domains of  softplus(-margin(kept)) + softplus(margin(residual))

where the margin is the target's log odds, `kept` and `residual` are the two halves that the ranking gives at a share,
another share at each step, and the domains are the latent and its audio, decoded, encoded and classified again. The
masks are hard, as they are in use; the gradient passes them as if they were the score (straight-through).

Relatives: meaningful perturbations (Fong and Vedaldi, arXiv 1704.03296; 1910.08485), straight-through estimation
(Bengio et al., arXiv 1308.3432). A mask that is fitted to a classifier can flatter it: judge it by planted evidence
and by other classifiers, too.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from audex_jax.core.types import Array, ClipLatent, ClipValid, Float, Latent
from audex_jax.masking.rank import element_ranks, top_share

Margins = Callable[[Latent], Float[Array, "w m"]]
SHARES = (0.2, 0.1, 0.4)


def optimise_mask(
    margins: Margins,
    latent: ClipLatent,
    score: Float[Array, "t d"],
    valid: ClipValid,
    filler: ClipLatent,
    *,
    shares: tuple[float, ...] = SHARES,
    steps: int = 4,
    rate: float = 0.05,
) -> Float[Array, "t d"]:
    """Score of every element after `steps` gradient steps from a given one; it ranks all shares at once.

    Args:
        margins: log odds of the target for m latents in w domains, `[m, t, d] -> [w, m]`; see `margin`.
        latent: the clip, `[t, d]`.
        score: where to start, for example the absolute attribution; only its order is used.
        valid: the clip's own frames, `[t]`.
        filler: what stands where nothing is kept, `[t, d]`.
        shares: at which the ranking is to hold; the steps take them in turn.
        steps: gradient steps, two edited latents each.
        rate: root mean square of a step, where 1 is the way from the last rank to the first. Larger steps please the
            classifier that is asked no more, and another one less.

    Returns:
        The new score, `[t, d]`.
    """
    count = valid.sum() * latent.shape[1]
    start = jnp.where(valid[:, None], 1 - element_ranks(score, valid) / count, 0)
    filler = jnp.where(valid[:, None], filler, latent)  # padding stays as it is

    def loss(mask: Float[Array, "t d"]) -> Float[Array, ""]:
        part = mask * (latent - filler)
        kept, residual = margins(jnp.stack([filler + part, latent - part])).T
        return (jax.nn.softplus(-kept) + jax.nn.softplus(residual)).sum()

    def step(score: Array, share: Array) -> tuple[Array, None]:
        mask = top_share(element_ranks(score, valid), valid, share).astype(latent.dtype)
        gradient = jax.grad(loss)(mask) * valid[:, None]
        size = jnp.sqrt(jnp.square(gradient).sum() / count)
        return score - rate * gradient / jnp.maximum(size, 1e-12), None

    return jax.lax.scan(step, start, jnp.resize(jnp.asarray(shares), (steps,)))[0]


def margin(logits: Float[Array, "*b k"], target: Array) -> Float[Array, "*b"]:
    """Log odds of the target: its logit minus the log-sum-exp of all others.

    >>> import jax.numpy as jnp
    >>> float(margin(jnp.array([2.0, 0.5]), jnp.int32(0)))
    1.5
    """
    own = jnp.arange(logits.shape[-1]) == target
    others = jnp.where(own, -jnp.inf, logits)
    return jnp.where(own, logits, 0).sum(-1) - jax.nn.logsumexp(others, axis=-1)
