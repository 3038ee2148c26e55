"""Everything that determines a training, given the data. Imports no JAX: the command line offers it at once."""

import dataclasses
from typing import Annotated

from audex_jax.core.configs import Between, Gain, Share, check
from audex_jax.core.settings import option

Times = Annotated[int, Between(1, 100_000_000)]
Whole = Annotated[int, Between(0, 2**31 - 1)]


EPOCHS, STEPS, BATCH = 40, 400, 64  # most epochs, least steps and most clips a step, unless asked otherwise


@dataclasses.dataclass(frozen=True)
class ClassifierRecipe:
    """How a classifier is trained, given the codec and the data.

    Attributes:
        epochs, patience: most epochs, and epochs without a lower validation loss after which it stops; None: fitted to
            the number of clips, see `fitted`.
        batch: clips a step; None: fitted likewise.
        learning_rate, weight_decay: of the optimiser, with a linear warm-up and a cosine decay over `epochs`.
        dropout, label_smoothing: regularisation.
        edited: share of a batch's clips whose latents get random elements replaced.
        variants: times that each training clip is encoded (1 is the clip as it is).
        seed: of weights, order and augmentation.
    """

    epochs: Times | None = option(
        None, f"largest number of epochs (default: {EPOCHS}, more where that is under {STEPS} steps)"
    )
    patience: Whole | None = option(
        None, "stop after N epochs without a lower validation loss (default: a quarter of --epochs, at least 10)"
    )
    batch: Times | None = option(None, f"clips in a training step (default: {BATCH}, fewer where there are few clips)")
    learning_rate: Share = option(2e-3, "peak learning rate")
    weight_decay: Share = option(0.05, "weight decay of the optimiser")
    dropout: Annotated[float, Between(0, 0.95)] = option(0.15, "dropout rate")
    label_smoothing: Share = option(0.1, "label smoothing")
    edited: Share = option(0.15, "share of the clips of a batch in which random latent elements are replaced")
    variants: Annotated[int, Between(1, 1000)] = option(6, "number of augmented versions of each training clip")
    seed: Whole = option(0, "seed of weights, order and augmentation")

    def __post_init__(self):
        check(self)

    def fitted(self, clips: int) -> "ClassifierRecipe":
        """The recipe for so many training clips: what is None gets its value.

        >>> recipe = ClassifierRecipe().fitted(42)
        >>> recipe.batch, recipe.epochs, recipe.patience
        (8, 80, 20)
        """
        batch = self.batch or min(BATCH, max(8, clips // 8))
        epochs = self.epochs or max(EPOCHS, -(-STEPS // max(1, clips // batch)))
        patience = max(10, epochs // 4) if self.patience is None else self.patience
        return dataclasses.replace(self, batch=batch, epochs=epochs, patience=patience)


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

    steps: Times = option(2000, "optimiser steps")
    batch: Times = option(16, "clips in a training step")
    seconds: Annotated[float, Between(0.01, 60)] = option(0.5, "length of a training clip")
    learning_rate: Share = option(1e-3, "peak learning rate")
    warmup: Whole = option(100, "steps until the peak learning rate")
    waveform: Gain = option(2.0, "weight of the waveform's loss")
    mel: Gain = option(1.0, "weight of the log-mel spectrum's loss")
    round_trip: Gain = option(0.5, "weight of what edited latents lose when decoded and encoded again")
    spectrum: Gain = option(0.5, "weight of what a linear map cannot read off the latent")
    commitment: Gain = option(0.1, "weight of the distance to the quantised latent")
    adversarial: Gain = option(0.0, "weight of the discriminators' losses")
    seed: Whole = option(0, "seed of weights and order of clips")

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class MaskRecipe:
    """How a mask network is trained, given the model and the data.

    Attributes:
        steps, batch: optimiser steps, clips a step.
        learning_rate, weight_decay: of AdamW, with a linear warm-up and a cosine decay over `steps`.
        dropout: share of the network's inputs to drop.
        softness, hardness: softness of the masks at first and from four fifths of the steps on, see
            `masking.relax.relaxed_mask`.
        least, most: shares of kept elements, drawn evenly on a logarithmic scale.
        anchor, evidence, margin, presence: weights of the losses, see `training.mask_network`.
        seed: of weights, order and every random choice.
    """

    steps: Times = option(3600, "optimiser steps")
    batch: Times = option(8, "clips in a training step")
    learning_rate: Share = option(1e-3, "peak learning rate")
    weight_decay: Share = option(0.01, "weight decay of the optimiser")
    dropout: Annotated[float, Between(0, 0.95)] = option(0.3, "share of the network's inputs to drop")
    softness: Annotated[float, Between(1e-3, 10)] = option(0.5, "softness of the masks at first")
    hardness: Annotated[float, Between(1e-3, 10)] = option(0.05, "softness of the masks in the end")
    least: Share = option(0.06, "smallest share of elements to keep")
    most: Share = option(0.45, "largest share of elements to keep")
    anchor: Gain = option(1.0, "weight of the sound's likeness to the clip")
    evidence: Gain = option(0.5, "weight of the likeness of the classifier's hidden states")
    margin: Gain = option(0.2, "weight of what the classifier says of the sounds")
    presence: Gain = option(0.2, "weight of telling targets that are in the clip from others")
    seed: Whole = option(0, "seed of weights, order and every random choice")

    def __post_init__(self):
        check(self)
