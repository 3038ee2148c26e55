"""The optional adversarial term: discriminators on complex spectrograms at several resolutions.

EnCodec's MS-STFT discriminator (arXiv 2210.13438, section 3.4): hinge losses, and a feature matching loss between
what the discriminators see in the clip and in the codec's copy of it. Fewer filters than published, as for a codec of
the bundled one's size.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.core.types import Array, Float
from audex_jax.training.losses import spectrogram

WINDOWS = (1, 2, 4)  # in frames of the latent
FILTERS = 16
DILATIONS = (1, 2, 4)  # in time, of the strided layers
SLOPE = 0.2  # of the leaky ReLU


class StftDiscriminator(nnx.Module):
    """Convolutions over time and frequency of one complex spectrogram."""

    def __init__(self, window: int, rngs: nnx.Rngs):
        self.window = window
        strided = [
            nnx.Conv(FILTERS, FILTERS, (3, 9), strides=(1, 2), kernel_dilation=(dilation, 1), rngs=rngs)
            for dilation in DILATIONS
        ]
        first, third = nnx.Conv(2, FILTERS, (3, 9), rngs=rngs), nnx.Conv(FILTERS, FILTERS, (3, 3), rngs=rngs)
        self.layers = nnx.List([first, *strided, third])
        self.last = nnx.Conv(FILTERS, 1, (3, 3), rngs=rngs)

    def __call__(self, audio: Float[Array, "b n"]) -> tuple[Array, list[Array]]:
        """Scores (above 0: real) and the features of every layer, all `[b, t, f, c]`."""
        spectrum, features = spectrogram(audio, self.window), []
        x = jnp.stack([spectrum.real, spectrum.imag], -1)
        for layer in self.layers:
            x = jax.nn.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.last(x), features


class Discriminators(nnx.Module):
    """One discriminator for each window length; `hop` is the codec's, samples a latent frame."""

    def __init__(self, hop: int, rngs: nnx.Rngs):
        self.scales = nnx.List([StftDiscriminator(size * hop // 4 * 4, rngs) for size in WINDOWS])

    def __call__(self, audio: Float[Array, "b n"]) -> list[tuple[Array, list[Array]]]:
        return [scale(audio) for scale in self.scales]


def generator_loss(judges: Discriminators, reference: Float[Array, "b n"], estimate: Float[Array, "b n"]) -> Array:
    """What the codec has to lower: hinge loss of its copies, plus feature matching relative to the clips' features."""
    total = jnp.zeros(())
    for (_, real), (score, fake) in zip(judges(reference), judges(estimate), strict=True):
        matching = [
            jnp.abs(a - b).mean() / (jnp.abs(a).mean() + 1e-6)
            for a, b in zip(jax.lax.stop_gradient(real), fake, strict=True)
        ]
        total += jax.nn.relu(1 - score).mean() + jnp.stack(matching).mean()
    return total / len(WINDOWS)


def discriminator_loss(judges: Discriminators, reference: Float[Array, "b n"], estimate: Float[Array, "b n"]) -> Array:
    """What the discriminators have to lower: hinge loss of telling clips from copies; 2 where they cannot."""
    pairs = zip(judges(reference), judges(estimate), strict=True)
    losses = [jax.nn.relu(1 - real).mean() + jax.nn.relu(1 + fake).mean() for (real, _), (fake, _) in pairs]
    return jnp.stack(losses).mean()
