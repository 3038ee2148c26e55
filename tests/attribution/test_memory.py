"""The memory that the compiled path integral needs does not grow with the number of path points."""

import jax
import jax.numpy as jnp
from flax import nnx

from audex_jax.attribution import integrated_gradients
from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig


def test_two_thousand_points_cost_what_sixteen_cost():
    config = TransformerConfig(dim=16, classes=4, frames=50, width=64, layers=1, heads=2, feed_forward=128)
    classifier = LatentTransformer(config, rngs=nnx.Rngs(0))

    def bytes_of(steps: int, chunk: int) -> int:
        def explain(clip):
            return integrated_gradients(
                lambda z: classifier(z, jnp.ones(50, bool))[0], clip, 0.0, steps=steps, chunk=chunk
            )

        return jax.jit(explain).lower(jnp.ones((50, 16))).compile().memory_analysis().temp_size_in_bytes

    few = bytes_of(16, 8)
    assert bytes_of(2000, 8) <= 1.05 * few + 3 * 4 * 2000  # the rule itself: a node and a weight a point
    assert bytes_of(2000, 2000) > 20 * few  # the measure can tell: without chunks it does grow
