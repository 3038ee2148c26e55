"""Training a codec: EnCodec's recipe, weighted for explanations.

EnCodec's reconstruction losses and its quantiser with dropout (arXiv 2210.13438, section 3.4) are kept. Three things
differ, because here the latent is what gets read and edited:

- half of every batch reaches the decoder as the continuous latent, since the classifier reads that by default;
- **edited latents must survive the round trip**: elements of a latent are replaced at random, the result is decoded
  and encoded again, and should come back as it was. An explanation is such an edited latent, and what a listener
  hears of it is only as faithful as this round trip;
- a linear map has to read the log-mel spectrum off the latent, so that a small classifier can.

Discriminators are optional: they make copies crisper, and what they add is not in the clip.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from flax import nnx

from audex_jax.bundles import digest_of, rebuild
from audex_jax.codecs.encodec import Encodec, EncodecConfig
from audex_jax.codecs.encodec.conv import Conv1d
from audex_jax.core.types import Array, Audio, Latent
from audex_jax.training import losses, rvq
from audex_jax.training.adversarial import Discriminators, discriminator_loss, generator_loss
from audex_jax.training.edits import edit
from audex_jax.training.principal import principal_start
from audex_jax.training.recipes import CodecRecipe
from audex_jax.training.state import TrainingCheckpoints

READOUT_BATCHES = 30
FITTING_SECONDS = 600  # of training audio that principal components and codebooks are fitted to
LEVELS_DB = (-10.0, 4.0)  # of training clips relative to unit RMS: explanations are quieter than their clips


def sample_batch(clips: Sequence[np.ndarray], recipe: CodecRecipe, sample_rate: int, step: int) -> np.ndarray:
    """Audio `[b, n, 1]` of one step, a pure function of (clips, recipe, step): a resumed run sees the same data.

    Each clip is scaled to a random level around unit RMS (`EncodecConfig.normalize`), its sign flipped at random, and
    cut (at the louder of two random places, so that words weigh more than pauses) or placed at random; a quarter of
    them is mixed with another clip.
    """
    rng = np.random.default_rng([recipe.seed, step])
    length = round(recipe.seconds * sample_rate)

    def draw() -> np.ndarray:
        clip = clips[int(rng.integers(len(clips)))]
        clip = clip / (np.sqrt(np.mean(np.square(clip))) + 1e-4)
        surplus = len(clip) - length
        if surplus <= 0:
            before = rng.integers(-surplus + 1)
            return np.pad(clip, (before, -surplus - before))
        places = [clip[start : start + length] for start in rng.integers(surplus + 1, size=2)]
        return max(places, key=lambda place: np.square(place).sum())

    def one() -> np.ndarray:
        audio = draw()
        if rng.random() < 0.25:
            audio = audio + draw() * 10 ** rng.uniform(-1.0, 0.0)
        return audio * 10 ** (rng.uniform(*LEVELS_DB) / 20) * rng.choice([-1, 1])

    return np.stack([one() for _ in range(recipe.batch)])[..., None].astype(np.float32)


def loss_fn(
    codec: Encodec,
    readout: dict,
    judges: Discriminators | None,
    codebooks: rvq.CodebookState,
    audio: Audio,
    step: Array,
    recipe: CodecRecipe,
) -> tuple[Array, tuple[rvq.CodebookState, Array, dict[str, Array]]]:
    """Scalar loss of one batch; updated codebooks, decoded audio, and the parts of the loss for the progress line."""
    k_stages, k_rvq, k_edit = jax.random.split(_key(recipe, step), 3)
    batch, samples = audio.shape[:2]
    config = codec.config
    latent = codec.encoder(audio)

    stages = jax.random.randint(k_stages, (batch,), 1, config.codebooks + 1)
    stages = jnp.where(jnp.arange(batch) % 4 == 1, config.codebooks, stages)
    quantised, codebooks = rvq.quantize_and_update(codebooks, jax.lax.stop_gradient(latent), stages, k_rvq)
    commitment = losses.latent_loss(jax.lax.stop_gradient(quantised), latent)
    straight_through = latent + jax.lax.stop_gradient(quantised - latent)
    use_quantised = (jnp.arange(batch) % 2 == 1)[:, None, None]
    decoded = codec.decoder(jnp.where(use_quantised, straight_through, latent))[:, :samples]

    edited = jax.lax.stop_gradient(edit(latent, k_edit))[: batch // 4]
    again = codec.encoder(codec.decoder(edited)[:, :samples])

    mono, estimate = audio[..., 0], decoded[..., 0]
    spectrum = losses.log_mel(mono, config.hop, config.sample_rate)
    parts = {
        "waveform": losses.waveform_loss(mono, estimate).mean(),
        "mel": losses.mel_loss(mono, estimate, config.sample_rate).mean(),
        "round_trip": losses.latent_loss(edited, again).mean(),
        "spectrum": losses.latent_loss(spectrum, latent @ readout["kernel"] + readout["bias"]).mean(),
        "commitment": jnp.where(use_quantised[:, 0, 0], commitment, 0).mean(),
    }
    if judges is not None:
        parts["adversarial"] = generator_loss(judges, mono, estimate)
    total = jnp.asarray(sum(getattr(recipe, name) * value for name, value in parts.items()))
    error = jnp.square(mono - estimate)[::2].sum(-1) / (jnp.square(mono)[::2].sum(-1) + 1e-6)
    parts["snr_db"] = -10 * jnp.log10(error + 1e-9).mean()
    return total, (codebooks, estimate, parts)


def optimizer(recipe: CodecRecipe) -> optax.GradientTransformation:
    """Muon (Jordan 2024) for kernels, as matrices from taps and inputs to outputs; Adam for LSTMs and biases."""

    def schedule(share: float) -> optax.Schedule:
        warmup = min(recipe.warmup, recipe.steps // 2)
        return optax.warmup_cosine_decay_schedule(0.0, share * recipe.learning_rate, warmup, recipe.steps)

    def matrices(params):
        def of(weight):
            return optax.contrib.MuonDimensionNumbers((0, 1), 2) if weight.ndim == 3 else None

        return jax.tree.map(of, params)

    muon = optax.contrib.muon(
        schedule(1.0),
        adam_b1=0.8,
        adam_b2=0.99,
        adam_learning_rate=schedule(0.2),
        muon_weight_dimension_numbers=matrices,
    )
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def initial_state(codec: Encodec, readout: dict, recipe: CodecRecipe) -> dict:
    """Everything that a resumed training needs, as one pytree of arrays, from the weights of `codec` on."""
    params = {"codec": nnx.to_pure_dict(nnx.state(codec, nnx.Param)), "readout": readout}
    state = {
        "params": params,
        "codebooks": rvq.in_use(codec.quantizer.codebooks[...])._asdict(),
        "optimizer": optimizer(recipe).init(params),
        "step": jnp.zeros((), jnp.int32),
    }
    if recipe.adversarial:
        judges = nnx.to_pure_dict(nnx.state(Discriminators(codec.config.hop, nnx.Rngs(recipe.seed))))
        state["judges"] = {"params": judges, "optimizer": _judges_optimizer().init(judges)}
    return state


def untrained(clips: Sequence[np.ndarray], config: EncodecConfig, recipe: CodecRecipe) -> Encodec:
    """The codec that training starts from: principal components of the clips, and codebooks fitted to them."""
    codec = Encodec(config, rngs=nnx.Rngs(recipe.seed))
    audio = np.concatenate(list(_fitting_batches(clips, config, recipe)))
    principal_start(codec, audio / (np.sqrt(np.square(audio).mean((1, 2), keepdims=True)) + 1e-4), _key(recipe, 0))
    fit_codebooks(codec, clips, recipe)
    return codec


def fit_codebooks(codec: Encodec, clips: Sequence[np.ndarray], recipe: CodecRecipe) -> None:
    """Fit all codebooks to the latents of training clips, in place."""
    frames = np.concatenate([np.asarray(_encode(codec, b)) for b in _fitting_batches(clips, codec.config, recipe)])
    stages, entries, dim = codec.quantizer.codebooks.shape
    codec.quantizer.codebooks[...] = rvq.fit(jnp.asarray(frames.reshape(-1, dim)), stages, entries, _key(recipe, 0))


def fit_readout(codec: Encodec, clips: Sequence[np.ndarray], recipe: CodecRecipe) -> dict[str, Array]:
    """The linear map from a latent frame to its log-mel spectrum that fits training clips best: kernel and bias."""
    audio = np.concatenate(list(itertools.islice(_fitting_batches(clips, codec.config, recipe), READOUT_BATCHES)))
    latent = np.asarray(_encode(codec, audio))
    spectrum = np.asarray(losses.log_mel(jnp.asarray(audio[..., 0]), codec.config.hop, codec.config.sample_rate))
    inputs = np.pad(latent.reshape(-1, codec.config.dim), ((0, 0), (0, 1)), constant_values=1.0)
    solution = np.linalg.lstsq(inputs, spectrum.reshape(len(inputs), -1), rcond=1e-6)[0]
    return {"kernel": jnp.asarray(solution[:-1]), "bias": jnp.asarray(solution[-1])}


def _fitting_batches(clips: Sequence[np.ndarray], config: EncodecConfig, recipe: CodecRecipe) -> Iterator[np.ndarray]:
    count = round(FITTING_SECONDS / (recipe.batch * recipe.seconds)) + 1
    for i in range(count):
        yield sample_batch(clips, recipe, config.sample_rate, 2**31 + i)  # not those of training


@jax.jit
def _encode(codec: Encodec, audio: Audio) -> Latent:
    return codec.encoder(audio)


def _key(recipe: CodecRecipe, step: int | Array) -> Array:
    return jax.random.fold_in(jax.random.key(recipe.seed), step)


def codec_of(config: EncodecConfig, state: dict) -> Encodec:
    """The codec of a training state."""
    values = state["params"]["codec"] | {"quantizer": {"codebooks": state["codebooks"]["codebooks"]}}
    return rebuild(lambda: Encodec(config, rngs=None), values)


def judges_of(config: EncodecConfig, params: dict) -> Discriminators:
    """The discriminators of a training state."""
    return rebuild(lambda: Discriminators(config.hop, nnx.Rngs(0)), params)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_step(config: EncodecConfig, recipe: CodecRecipe, state: dict, audio: Audio) -> tuple[dict, dict[str, Array]]:
    """One optimiser step; returns the new state and the parts of the loss."""

    def objective(params):
        codec = codec_of(config, state | {"params": params})
        judges = judges_of(config, state["judges"]["params"]) if recipe.adversarial else None
        return loss_fn(codec, params["readout"], judges, rvq.CodebookState(**state["codebooks"]), audio, step, recipe)

    step = state["step"]
    gradients, (codebooks, decoded, parts) = jax.grad(objective, has_aux=True)(state["params"])
    updates, opt = optimizer(recipe).update(gradients, state["optimizer"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    new = {"params": params, "codebooks": codebooks._asdict(), "optimizer": opt, "step": step + 1}
    if recipe.adversarial:
        new["judges"], parts["discriminators"] = _judges_step(config, state["judges"], audio[..., 0], decoded)
    return new, parts


def _judges_step(config: EncodecConfig, state: dict, real: Array, decoded: Array) -> tuple[dict, Array]:
    loss, gradients = jax.value_and_grad(lambda p: discriminator_loss(judges_of(config, p), real, decoded))(
        state["params"]
    )
    updates, opt = _judges_optimizer().update(gradients, state["optimizer"], state["params"])
    return {"params": optax.apply_updates(state["params"], updates), "optimizer": opt}, loss


def _judges_optimizer() -> optax.GradientTransformation:
    return optax.adam(3e-4, b1=0.5, b2=0.9)  # step and momenta of EnCodec's


def train_codec(
    clips: Sequence[np.ndarray],
    config: EncodecConfig,
    recipe: CodecRecipe,
    directory: pathlib.Path,
    report: Callable[[int, dict[str, float]], None] = lambda step, parts: None,
    checkpoint_every: int = 250,
    saved: Callable[[int, Encodec], None] = lambda step, codec: None,
    start: Encodec | None = None,
) -> Encodec:
    """Train a codec, saving its state so that the same call after a kill goes on where it was.

    Args:
        clips: mono recordings at `config.sample_rate`, each `[n]`.
        config: the codec's shape.
        recipe: the training's settings.
        directory: where training state is kept.
        report: called every 10 steps with the step and the averaged parts of the loss.
        checkpoint_every: steps between two saves.
        saved: called after each save with the step and the codec as it is then, not to be kept.
        start: codec of the same shape to start from, instead of from nothing.

    Returns:
        The trained codec.

    Raises:
        AudexError: the directory holds the state of a training with other settings, or a damaged one.
    """

    def first() -> dict:
        codec = start or untrained(clips, config, recipe)
        return initial_state(codec, fit_readout(codec, clips, recipe), recipe)

    def shape() -> dict:
        bands = losses.mel_bands(2 * config.hop)
        readout = {"kernel": jnp.zeros((config.dim, bands)), "bias": jnp.zeros(bands)}
        return initial_state(Encodec(config, rngs=None), readout, recipe)

    identity = {
        "codec": dataclasses.asdict(config),
        "recipe": dataclasses.asdict(recipe),
        "clips": {"count": len(clips), "samples": sum(map(len, clips))},
        "started_from": None if start is None else digest_of(start),
    }
    with TrainingCheckpoints(directory, identity) as checkpoints:
        state = checkpoints.restore(first, shape)
        history: list[dict[str, Array]] = []
        for step in range(int(state["step"]), recipe.steps):
            state, parts = train_step(config, recipe, state, sample_batch(clips, recipe, config.sample_rate, step))
            history.append(parts)
            if (step + 1) % 10 == 0 or step + 1 == recipe.steps:
                report(step + 1, {name: float(np.mean([h[name] for h in history])) for name in parts})
                history = []
            if (step + 1) % checkpoint_every == 0 or step + 1 == recipe.steps:
                checkpoints.save(step + 1, state)
                saved(step + 1, codec_of(config, state))
    codec = codec_of(config, state)
    fit_codebooks(codec, clips, recipe)
    scale_latent(codec, jnp.asarray(sample_batch(clips, recipe, config.sample_rate, recipe.steps)))
    return codec


def scale_latent(codec: Encodec, audio: Audio) -> None:
    """Give the latent unit variance, in place; the decoder undoes it exactly.

    Nothing in the losses fixes the latent's scale, but a classifier adds positions of unit variance to it.

    Args:
        codec: trained codec.
        audio: clips to measure the variance on, `[b, n, c]`.
    """
    gain = 1 / jnp.std(_encode(codec, audio))
    last, first = codec.encoder.layers[-1], codec.decoder.layers[0]
    assert isinstance(last, Conv1d)
    assert isinstance(first, Conv1d)
    last.kernel[...] = last.kernel[...] * gain
    last.bias[...] = last.bias[...] * gain
    first.kernel[...] = first.kernel[...] / gain
    codec.quantizer.codebooks[...] = codec.quantizer.codebooks[...] * gain
