"""A start for codec training: the encoder as the principal components of the audio, the decoder as their transpose.

From random weights a codec first learns spectra with the wrong phase and stays there for thousands of steps. Here each
convolution of the encoder maps a frame's own samples onto the principal components of what it receives, as many as it
has channels, and its mirror image in the decoder is the transpose; the other taps, the residual branches and the LSTMs
start at (nearly) nothing. Biases lift the signal into the linear half of ELU and are taken off again behind it. So the
untrained codec is the frame-wise Karhunen-Loeve transform of the training audio: it returns the waveform as well as
`dim` numbers a frame can, the latent's axes are components in falling order of energy, and an edited latent survives
decoding and encoding, because the transform is orthogonal. Training goes on from there.

Orthogonal starts: Saxe et al. 2014, arXiv 1312.6120; residual branches from zero: Zhang et al. 2019, arXiv 1901.09321.
"""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.codec import Encodec
from audex_jax.codec.conv import Conv1d, ConvTranspose1d, conv_padding, transpose_trim
from audex_jax.codec.seanet import LSTM, Decoder, Encoder, ResidualBlock
from audex_jax.types import Array, Audio

LIFT = 4.0  # bias, in standard deviations of the signal
RECURRENT = 0.02  # share of the LSTMs' ordinary input weights that is kept


def principal_start(codec: Encodec, audio: Audio, key: Array) -> None:
    """Overwrite the weights of a freshly built codec, in place.

    Args:
        codec: with `norm="none"`; others are built to be loaded, not trained.
        audio: training clips at unit loudness, `[b, n, c]`.
        key: for the rotations that spread the signal evenly over channels.
    """
    encoder, decoder = codec.encoder, codec.decoder
    _still(encoder)
    _still(decoder)
    down = [layer for layer in encoder.layers if isinstance(layer, Conv1d)]
    up = [layer for layer in decoder.layers if isinstance(layer, Conv1d | ConvTranspose1d)]
    signal, lift, samples = np.asarray(audio, np.float64), 0.0, codec.config.channels
    for index, (forward, back) in enumerate(zip(down, reversed(up), strict=True)):
        taps, inputs, outputs = forward.kernel.shape
        stride = forward.stride
        frames = signal[:, : signal.shape[1] // stride * stride].reshape(-1, stride * inputs)
        samples *= stride
        latent = index == len(down) - 1
        if latent:  # its axes stay the components themselves
            matrix = _components(frames, outputs)
        else:
            components = _components(frames, min(outputs - 1, samples))
            matrix = components @ _rotation(jax.random.fold_in(key, index), components.shape[1], outputs)
        signal = (frames @ matrix).reshape(len(signal), -1, outputs)
        behind, lift = lift, 0.0 if latent else LIFT * float(signal.std())
        weights = matrix.reshape(stride, inputs, outputs)
        _set(forward, weights, lift - behind * matrix.sum(0))
        _set(back, weights.swapaxes(1, 2), behind)


def own_taps(layer: Conv1d | ConvTranspose1d) -> slice:
    """The taps between a frame and its own samples, among those that reach its neighbours'."""
    taps = layer.kernel.shape[0]
    if isinstance(layer, ConvTranspose1d):
        start, _ = transpose_trim(layer.stride, taps, layer.causal)
    else:
        start, _ = conv_padding(layer.stride, taps, layer.stride, layer.causal)
    return slice(start, start + layer.stride)


def _set(layer: Conv1d | ConvTranspose1d, weights: np.ndarray, bias: np.ndarray | float) -> None:
    kernel = jnp.zeros_like(layer.kernel[...])
    layer.kernel[...] = kernel.at[own_taps(layer)].set(jnp.asarray(weights, kernel.dtype))
    layer.bias[...] = jnp.broadcast_to(jnp.asarray(bias, kernel.dtype), layer.bias.shape)


def _components(frames: np.ndarray, count: int) -> np.ndarray:
    """The `count` principal components with the most energy, `[width, count]`."""
    _, vectors = np.linalg.eigh(frames.T @ frames / len(frames))
    return vectors[:, ::-1][:, :count]


def _rotation(key: Array, inputs: int, outputs: int) -> np.ndarray:
    """Random matrix `[inputs, outputs]` with orthonormal rows that each sum to 0; `inputs` is below `outputs`.

    Because its rows sum to 0, a lift that is the same in all channels adds nothing behind the transpose.
    """
    draw = np.asarray(jax.random.normal(key, (outputs, inputs)), np.float64)
    return np.linalg.qr(draw - draw.mean(0))[0].T


def _still(half: Encoder | Decoder) -> None:
    for layer in half.layers:
        if isinstance(layer, ResidualBlock):
            layer.widen.kernel[...] = jnp.zeros_like(layer.widen.kernel[...])
            if layer.shortcut is not None:
                layer.shortcut.kernel[...] = jnp.eye(layer.shortcut.kernel.shape[-1])[None]
        elif isinstance(layer, LSTM):
            for recurrent in layer.layers:
                recurrent.input_kernel[...] = RECURRENT * recurrent.input_kernel[...]
