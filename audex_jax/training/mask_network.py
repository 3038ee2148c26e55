"""Training a mask network (`explain.mask_network`) over many clips: from a latent and a target to a score.

A step draws clips, how much of them to keep, where their frames begin, and by how much the edited sounds are moved
before they are encoded again. Masks are relaxed, and harder and harder, since hard ones let no gradient through. As in
`masking/rankings/matched_mask.py`, the kept half is to be like the clip and the residual unlike it:

    anchor     in the latents of the moved sounds
    evidence   in the classifier's last hidden state, under dropout
    margin     the kept half says hardly less for the target than the clip does, the residual no more than nothing
    presence   the network tells the target that the clip has from one that it does not have
"""

import dataclasses
import functools
import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from audex_jax.bundles import digest_of, rebuild
from audex_jax.core.types import Array, Audio, Float, Int
from audex_jax.devices.mapping import mapped_step
from audex_jax.explain.control import ABSENT
from audex_jax.explain.mask_network import MaskNetwork, MaskNetworkConfig, config_for, hidden_evidence
from audex_jax.explain.model import (
    EncodedClip,
    Model,
    encode_and_classify,
    features_of,
    reencode,
    shifted,
    tells_features,
)
from audex_jax.masking.optimise import margin
from audex_jax.masking.relax import relaxed_mask
from audex_jax.masking.similarity import COMPANDING, cosine
from audex_jax.training.recipes import MaskRecipe
from audex_jax.training.state import TrainingCheckpoints

DROPOUT = 0.3  # of the classifier, where its hidden states are compared
MOVED = 0.6  # share of the steps in which sounds are moved before they are encoded again
HARDENING = 0.8  # share of the steps after which masks get no harder
MEASURED = 512  # clips that the statistics are of
BLOCK = 32  # clips encoded at once

Parts = dict[str, Array]


def network_of(config: MaskNetworkConfig, params: dict) -> MaskNetwork:
    """The network of a training state."""
    return rebuild(lambda: MaskNetwork(config, rngs=None), params)


def initial_network(
    config: MaskNetworkConfig, model: Model, audio: np.ndarray, lengths: np.ndarray, seed: int
) -> MaskNetwork:
    """A network that ranks by loudness yet, with the statistics of training clips."""
    network = MaskNetwork(config, rngs=nnx.Rngs(seed))
    size = min(BLOCK, len(audio))
    starts = range(0, min(MEASURED, len(audio)) - size + 1, size)
    found = [_measure(model, jnp.asarray(audio[i : i + size]), jnp.asarray(lengths[i : i + size])) for i in starts]
    latents = np.concatenate([np.asarray(latent)[np.asarray(sounding)] for latent, sounding, _ in found])
    companded = np.arcsinh(COMPANDING * latents)
    deviation = companded.std(0)
    network.mean[...] = jnp.asarray(companded.mean(0))
    network.deviation[...] = jnp.asarray(deviation + 0.1 * np.sqrt(np.square(deviation).mean()) + 1e-6)
    scale = float(np.mean([float(size) for _, _, size in found]))
    network.evidence_scale[...] = jnp.asarray(1 / scale if scale > 0 else 1.0)
    return network


@jax.jit
def _measure(model: Model, audio: Audio, lengths: Array) -> tuple[Array, Array, Array]:
    """Latents, the frames that sound, and the root mean square of the evidence."""
    clips = encode_and_classify(model, audio, lengths)
    of = functools.partial(hidden_evidence, model.classifier)
    hidden = jax.vmap(of)(clips.latent, clips.target, clips.valid)
    size = jnp.zeros(()) if hidden is None else jnp.sqrt(jnp.square(hidden[1]).mean())
    return clips.latent, clips.sounding, size


def optimizer(recipe: MaskRecipe) -> optax.GradientTransformation:
    """AdamW with clipped gradients."""
    warmup = min(100, recipe.steps // 10 + 1)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, recipe.learning_rate, warmup, max(recipe.steps, warmup + 1), 0.02 * recipe.learning_rate
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=recipe.weight_decay))


def softness(recipe: MaskRecipe, step: Array) -> Array:
    """Of the masks at a step: it falls geometrically."""
    done = jnp.minimum(1.0, step / (HARDENING * recipe.steps))
    return recipe.softness * (recipe.hardness / recipe.softness) ** done


def batch_loss(
    params: dict,
    config: MaskNetworkConfig,
    recipe: MaskRecipe,
    model: Model,
    audio: Audio,
    lengths: Int[Array, " b"],
    step: Array,
    key: Array,
) -> tuple[Float[Array, ""], Parts]:
    """The loss of a batch of zero-padded clips, `[b, n, c]`, and its parts."""
    begin, moved, some, of_clips = jax.random.split(key, 4)
    hop = model.codec.hop
    audio, lengths = shifted(audio, lengths, jax.random.randint(begin, (), 0, hop))
    move = jax.random.randint(moved, (), 0, hop) * jax.random.bernoulli(some, MOVED)
    clips = jax.lax.stop_gradient(encode_and_classify(model, audio, lengths))
    network = network_of(config, params)
    of = functools.partial(clip_loss, network, recipe, model, move=move, softness=softness(recipe, step))
    total, parts = jax.vmap(of)(clips, key=jax.random.split(of_clips, len(audio)))
    return total.mean(), jax.tree.map(jnp.mean, parts)


def clip_loss(
    network: MaskNetwork,
    recipe: MaskRecipe,
    model: Model,
    clip: EncodedClip,
    key: Array,
    *,
    move: Array,
    softness: Array,
) -> tuple[Float[Array, ""], Parts]:
    """The loss of one clip, and its parts; see the module."""
    k_share, k_wrong, k_inputs, k_hidden = jax.random.split(key, 4)
    own, sounding = clip.valid[:, None], clip.sounding[:, None]
    filler = model.codec.filler(len(clip.latent), "zero", jax.random.key(0))
    nothing = jnp.where(own, filler, clip.latent)
    log_share = jax.random.uniform(k_share, minval=jnp.log(recipe.least), maxval=jnp.log(recipe.most))

    def ask(target: Array) -> tuple[Array, Array]:
        hidden = hidden_evidence(model.classifier, clip.latent, target, clip.valid)
        return network(clip.latent, hidden, target, clip.valid, recipe.dropout, k_inputs)

    score, present = ask(clip.target)
    _, absent = ask(_absent_target(clip.logits, k_wrong))
    mask = relaxed_mask(score, clip.sounding, jnp.exp(log_share), softness)
    part = mask * (clip.latent - nothing)
    whole = jax.lax.stop_gradient(reencode(model, clip, clip.latent[None], move))
    halves = reencode(model, clip, jnp.stack([nothing + part, clip.latent - part]), move)
    of_whole, of_kept, of_residual = (
        network.standardised(z) * own for z in (whole.latent[0], halves.latent[0], halves.latent[1])
    )
    weights = sounding / (jnp.square(of_whole) + 0.25)
    parts = {"anchor": cosine(of_residual, of_whole, weights) - cosine(of_kept, of_whole)}
    bound, kept, residual = margin(jnp.concatenate([whole.logits, halves.logits]), clip.target)
    if tells_features(model.classifier):
        read = jnp.stack([halves.latent[0], halves.latent[1], whole.latent[0], nothing])
        hidden, logits = features_of(model.classifier, read, clip.valid, DROPOUT, k_hidden)
        of_kept, of_residual, of_whole = (hidden[:3] - hidden[3]) * own
        parts["evidence"] = cosine(of_residual, of_whole) - cosine(of_kept, of_whole)
        kept, residual, bound, _ = margin(logits, clip.target)
    parts["margin"] = jax.nn.softplus(bound - kept) + jax.nn.softplus(residual)
    parts["presence"] = jax.nn.softplus(-present) + jax.nn.softplus(absent)
    return sum((getattr(recipe, name) * value for name, value in parts.items()), jnp.zeros(())), parts


def _absent_target(logits: Float[Array, " k"], key: Array) -> Int[Array, ""]:
    """A label of probability below `ABSENT`, likelier ones more often; the least likely one where there is none."""
    probability = jax.nn.softmax(logits)
    drawn = 0.5 * jnp.log(probability + 1e-6) + jax.random.gumbel(key, logits.shape)
    drawn = jnp.where(probability < ABSENT, drawn, -jnp.inf)
    return jnp.where(jnp.isfinite(drawn).any(), drawn.argmax(), logits.argmin())


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _update(recipe: MaskRecipe, params: dict, opt_state: optax.OptState, gradients: Any) -> tuple[Any, optax.OptState]:
    gradients = jax.tree.map(lambda some: some.mean(0), gradients)
    updates, opt_state = optimizer(recipe).update(gradients, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def train_mask_network(
    model: Model,
    classes: int,
    audio: np.ndarray,
    lengths: np.ndarray,
    recipe: MaskRecipe,
    directory: pathlib.Path,
    report: Callable[[int, dict[str, float]], None] = lambda step, parts: None,
    checkpoint_every: int = 100,
) -> MaskNetwork:
    """Train a mask network, saving its state so that the same call after a kill goes on where it was.

    All devices of this process share a step, as far as their number divides the batch.

    Args:
        model: codec and classifier, both frozen; their derivatives are needed.
        classes: number of labels.
        audio, lengths: zero-padded training clips `[clips, n, c]` and their own samples `[clips]`.
        recipe: the training's settings.
        directory: where training state is kept.
        report: called every 10 steps with the step and the means of the parts of the loss.
        checkpoint_every: steps between two saves.

    Raises:
        AudexError: the directory holds the state of a training with other settings, or a damaged one.
    """
    config = config_for(model, classes)
    size = min(recipe.batch, len(audio))
    devices = jax.local_devices()
    devices = devices[: next(n for n in range(len(devices), 0, -1) if size % n == 0)]

    def state_of(network: MaskNetwork) -> dict:
        values = nnx.to_pure_dict(nnx.state(network, nnx.Param))
        fixed = nnx.to_pure_dict(nnx.state(network, nnx.Not(nnx.Param)))
        opt_state = optimizer(recipe).init(values)
        return {"params": values, "statistics": fixed, "optimizer": opt_state, "step": jnp.zeros((), jnp.int32)}

    def gradients_of(weights: Any, batch: Any) -> Any:
        params, statistics, model = weights
        audio, lengths, key, step = batch

        def objective(params: dict) -> tuple[Array, Parts]:
            return batch_loss(params | statistics, config, recipe, model, audio, lengths, step[0], key[0])

        gradients, parts = jax.grad(objective, has_aux=True)(params)
        return gradients, parts

    identity = {
        "network": dataclasses.asdict(config),
        "model": [digest_of(model.codec), digest_of(model.classifier)],
        "recipe": dataclasses.asdict(recipe),
        "clips": {"shape": list(audio.shape), "lengths": zlib.crc32(np.ascontiguousarray(lengths).tobytes())},
    }
    mapped = mapped_step(gradients_of, "auto", devices)
    with TrainingCheckpoints(directory, identity) as checkpoints:
        state = checkpoints.restore(
            lambda: state_of(initial_network(config, model, audio, lengths, recipe.seed)),
            lambda: state_of(MaskNetwork(config, rngs=None)),
        )
        history: list[Parts] = []
        for step in range(int(state["step"]), recipe.steps):
            rows = np.random.default_rng([recipe.seed, step]).choice(len(audio), size, replace=False)
            keys = jax.random.split(jax.random.fold_in(jax.random.key(recipe.seed), step), len(devices))
            steps = np.full(len(devices), step, np.float32)
            batch = jax.tree.map(
                lambda a: a.reshape(len(devices), -1, *a.shape[1:]), (audio[rows], lengths[rows], keys, steps)
            )
            gradients, parts = mapped((state["params"], state["statistics"], model), batch)
            gradients = jax.tree.map(np.asarray, gradients)  # from all devices
            params, opt_state = _update(recipe, state["params"], state["optimizer"], gradients)
            state |= {"params": params, "optimizer": opt_state, "step": jnp.asarray(step + 1, jnp.int32)}
            history.append(parts)
            if (step + 1) % 10 == 0 or step + 1 == recipe.steps:
                report(step + 1, {name: float(np.mean([h[name] for h in history])) for name in parts})
                history = []
            if (step + 1) % checkpoint_every == 0 or step + 1 == recipe.steps:
                checkpoints.save(step + 1, state)
    return network_of(config, state["params"] | state["statistics"])
