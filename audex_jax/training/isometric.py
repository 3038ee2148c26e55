"""A start for codec training: the encoder as an orthogonal transform of the audio, the decoder as its transpose.

From random weights a codec first learns spectra with the wrong phase and stays there for thousands of steps. Here
every convolution maps the newest samples or frames orthogonally, residual blocks start as the identity, each layer of
the decoder is the transpose of its mirror image in the encoder, and signals are small enough for ELU to be nearly
linear. So the untrained codec already returns a projection of the waveform, and training starts from there. The idea is
that of dynamical isometry (Saxe et al. 2014, arXiv 1312.6120; Xiao et al. 2018, arXiv 1806.05393).
"""

import jax
import jax.numpy as jnp

from audex_jax.codec import Encodec
from audex_jax.codec.conv import Conv1d, ConvTranspose1d
from audex_jax.codec.seanet import LSTM, Decoder, Encoder, ResidualBlock
from audex_jax.types import Array

SIGNAL = 0.2  # amplitude inside the network for audio of unit amplitude
NOISE = 0.1  # share of the ordinary random kernel that is kept, so that the other taps can learn


def isometric_start(codec: Encodec, key: Array) -> None:
    """Overwrite the kernels of a freshly built causal codec, in place."""
    encoder, decoder = codec.encoder, codec.decoder
    _calm(encoder)
    _calm(decoder)
    down = [layer for layer in encoder.layers if isinstance(layer, Conv1d)]
    up = [layer for layer in decoder.layers if isinstance(layer, Conv1d | ConvTranspose1d)]
    orthogonal = jax.nn.initializers.orthogonal()
    for index, (forward, back) in enumerate(zip(down, reversed(up), strict=True)):
        taps, inputs, outputs = forward.kernel.shape
        newest = forward.stride  # the newest `stride` taps are the frame's own samples
        matrix = orthogonal(jax.random.fold_in(key, index), (newest * inputs, outputs), jnp.float32)
        gain = SIGNAL if index == 0 else 1.0
        kernel = NOISE * gain * forward.kernel[...]
        forward.kernel[...] = kernel.at[taps - newest :].add(gain * matrix.reshape(newest, inputs, outputs))
        mirror = matrix.reshape(newest, inputs, outputs).swapaxes(1, 2)  # [newest, outputs, inputs]
        own = slice(0, newest) if isinstance(back, ConvTranspose1d) else slice(taps - newest, taps)
        back.kernel[...] = (NOISE * back.kernel[...]).at[own].add(mirror) / gain


def _calm(half: Encoder | Decoder) -> None:
    for layer in half.layers:
        if isinstance(layer, ResidualBlock):
            layer.widen.kernel[...] = NOISE * layer.widen.kernel[...]
            if layer.shortcut is not None:
                width = layer.shortcut.kernel.shape[-1]
                layer.shortcut.kernel[...] = jnp.eye(width)[None]
        elif isinstance(layer, LSTM):
            for recurrent in layer.layers:
                recurrent.input_kernel[...] = NOISE * recurrent.input_kernel[...]
