"""The transformers on both sides of the quantiser (`moshi/modules/transformer.py`): pre-norm, rotary positions
(Su et al. 2021), LayerScale (Touvron et al. 2021), GELU, causal with a sliding context, no biases but the norms'.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from audex_jax.codecs.mimi.config import MimiConfig
from audex_jax.core.initializers import init_param, layer_norm
from audex_jax.core.types import Array, Float

Heads = Float[Array, "b t h w"]


def rotate(x: Heads, base: float) -> Heads:
    """Turn the halves of every head against one another by an angle that grows with the frame.

    Element i of the first half and of the second are a plane, which turns by `base ** (-2 i / w)` a frame.
    """
    frames, width = x.shape[1], x.shape[3]
    angle = np.arange(frames)[:, None, None] * base ** (-np.arange(0, width, 2) / width)
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    one, other = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)


def attend(query: Heads, key: Heads, value: Heads, context: int) -> Heads:
    """Scaled dot-product attention of every frame to itself and the `context - 1` frames before it.

    Clips longer than that are cut into blocks of `context` frames, each of which sees itself and the block before, so
    that time and memory grow with the length and not with its square.
    """
    frames = query.shape[1]
    if frames <= context:
        return jax.nn.dot_product_attention(query, key, value, is_causal=True)
    blocks = -(-frames // context)

    def cut(x: Heads, before: int) -> Float[Array, "b l s h w"]:
        """Blocks of `before` more than `context` frames."""
        x = jnp.pad(x, ((0, 0), (before, blocks * context - frames), (0, 0), (0, 0)))
        x = x.reshape(len(x), -1, context, *x.shape[2:])
        return jnp.concatenate([x[:, :-1], x[:, 1:]], 2) if before else x

    ahead = np.arange(context)[:, None] + context - np.arange(2 * context)  # how far a key lies before its query
    near = np.broadcast_to((ahead >= 0) & (ahead < context), (blocks, 1, context, 2 * context)).copy()
    near[0, :, :, :context] = False  # nothing lies before the first block
    one_clip = functools.partial(jax.nn.dot_product_attention, mask=jnp.asarray(near))
    mixed = jax.vmap(one_clip)(cut(query, 0), cut(key, context), cut(value, context))
    return mixed.reshape(len(query), -1, *query.shape[2:])[:, :frames]


class Layer(nnx.Module):
    """`y = x + s * attention(norm(x))`, then `y + s' * feed_forward(norm(y))`; kernels `[in, out]`."""

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        width = config.width
        self.heads, self.context, self.base = config.heads, config.context, config.rope_base
        draw = functools.partial(init_param, nnx.initializers.lecun_normal(), rngs)
        self.attention_norm = layer_norm(width)
        self.attention_in = nnx.Param(draw((width, 3 * width)))  # query, key, value
        self.attention_out = nnx.Param(draw((width, width)))
        self.attention_scale = nnx.Param(jnp.full(width, 0.01))
        self.feed_forward_norm = layer_norm(width)
        self.feed_forward_in = nnx.Param(draw((width, config.feed_forward)))
        self.feed_forward_out = nnx.Param(draw((config.feed_forward, width)))
        self.feed_forward_scale = nnx.Param(jnp.full(width, 0.01))

    def __call__(self, x: Float[Array, "b t w"]) -> Float[Array, "b t w"]:
        projected = self.attention_norm(x) @ self.attention_in[...]
        query, key, value = jnp.split(projected.reshape(*x.shape[:2], 3 * self.heads, -1), 3, axis=2)
        mixed = attend(rotate(query, self.base), rotate(key, self.base), value, self.context)
        x = x + self.attention_scale[...] * (mixed.reshape(x.shape) @ self.attention_out[...])
        hidden = jax.nn.gelu(self.feed_forward_norm(x) @ self.feed_forward_in[...], approximate=False)
        return x + self.feed_forward_scale[...] * (hidden @ self.feed_forward_out[...])


class Transformer(nnx.Module):
    """A stack of layers, `[b, t, w] -> [b, t, w]`."""

    def __init__(self, config: MimiConfig, *, rngs: nnx.Rngs | None):
        self.layers = nnx.List([Layer(config, rngs=rngs) for _ in range(config.layers)])

    def __call__(self, x: Float[Array, "b t w"]) -> Float[Array, "b t w"]:
        for layer in self.layers:
            x = layer(x)
        return x
