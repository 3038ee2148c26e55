"""Everything that determines a training, given the data. Imports no JAX: the command line offers it at once."""

import dataclasses

from audex_jax.core.settings import option


@dataclasses.dataclass(frozen=True)
class ClassifierRecipe:
    """How a classifier is trained, given the codec and the data.

    Attributes:
        epochs, patience: most epochs, and epochs without a better validation accuracy after which it stops.
        batch, learning_rate, weight_decay: of the optimiser, with a linear warm-up and a cosine decay over `epochs`.
        dropout, label_smoothing: regularisation.
        edited: share of a batch's clips whose latents get random elements replaced.
        variants: times that each training clip is encoded (1 is the clip as it is).
        seed: of weights, order and augmentation.
    """

    epochs: int = option(40, "most epochs")
    patience: int = option(10, "stop after so many epochs without gain")
    batch: int = option(64, "clips a step")
    learning_rate: float = option(2e-3, "peak learning rate")
    weight_decay: float = option(0.05, "weight decay of the optimiser")
    dropout: float = option(0.15, "share of activations that are dropped")
    label_smoothing: float = option(0.1, "share of the label's probability that all labels get")
    edited: float = option(0.15, "share of a batch's clips of which random elements are replaced")
    variants: int = option(6, "times that each training clip is encoded")
    seed: int = option(0, "seed of weights, order and augmentation")


@dataclasses.dataclass(frozen=True)
class CodecRecipe:
    """How a codec is trained, given the data.

    Attributes:
        steps, batch, seconds: optimiser steps, clips a step, length of a training clip.
        learning_rate, warmup: peak of the schedule (linear warm-up, then cosine to zero) and steps to reach it.
        waveform, mel, round_trip, spectrum, commitment, adversarial: weights of the losses; `spectrum` asks that a
            linear map reads the log-mel spectrum off the latent; without `adversarial` there are no discriminators.
        seed: of the initial weights, of the order of clips and of every random choice.
    """

    steps: int = option(2000, "optimiser steps")
    batch: int = option(16, "clips a step")
    seconds: float = option(0.5, "length of a training clip")
    learning_rate: float = option(1e-3, "peak learning rate")
    warmup: int = option(100, "steps to the peak")
    waveform: float = option(2.0, "weight of the waveform's loss")
    mel: float = option(1.0, "weight of the log-mel spectrum's loss")
    round_trip: float = option(0.5, "weight of what edited latents lose when decoded and encoded again")
    spectrum: float = option(0.5, "weight of what a linear map cannot read off the latent")
    commitment: float = option(0.1, "weight of the distance to the quantised latent")
    adversarial: float = option(0.0, "weight of the discriminators' losses")
    seed: int = option(0, "seed of weights and order of clips")
