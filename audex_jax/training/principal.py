"""A start for codec training: the encoder as the principal components of the audio, the decoder as their transpose.

From random weights a codec first learns spectra with the wrong phase and stays there for thousands of steps. Here each
convolution of the encoder maps a frame's own samples onto the principal components of what it receives, as many as it
has channels, and its mirror image in the decoder is the transpose; the other taps, the residual branches and the LSTMs
start at (nearly) nothing. Signals inside are small enough for ELU to be nearly linear. So the untrained codec is
close to the frame-wise Karhunen-Loeve transform of the training audio: it returns the waveform as well as
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

GAIN = 0.14  # of each of the first two convolutions, undone by the last two: keeps the signal small in between
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
    signal, samples = np.asarray(audio, np.float32), codec.config.channels
    for index, (forward, back) in enumerate(zip(down, reversed(up), strict=True)):
        _, inputs, outputs = forward.kernel.shape
        stride = forward.stride
        frames = signal[:, : signal.shape[1] // stride * stride].reshape(-1, stride * inputs)
        samples *= stride
        matrix = _components(frames, min(outputs, samples))  # [stride * inputs, components]
        if index < len(down) - 1:  # the latent's own axes stay the components themselves
            matrix = matrix @ _rotation(jax.random.fold_in(key, index), matrix.shape[1], outputs)
        signal = (frames @ matrix).reshape(len(signal), -1, outputs)
        weights = matrix.reshape(stride, inputs, outputs)
        gain = GAIN if index < 2 else 1.0
        _set(forward, gain * weights)
        _set(back, weights.swapaxes(1, 2) / gain)


def own_taps(layer: Conv1d | ConvTranspose1d) -> slice:
    """The taps between a frame and its own samples, among those that reach its neighbours'."""
    taps = layer.kernel.shape[0]
    if isinstance(layer, ConvTranspose1d):
        start, _ = transpose_trim(layer.stride, taps, layer.causal)
    else:
        start, _ = conv_padding(layer.stride, taps, layer.stride, layer.causal)
    return slice(start, start + layer.stride)


def _set(layer: Conv1d | ConvTranspose1d, weights: np.ndarray) -> None:
    kernel = jnp.zeros_like(layer.kernel[...])
    layer.kernel[...] = kernel.at[own_taps(layer)].set(jnp.asarray(weights, kernel.dtype))


def _components(frames: np.ndarray, count: int) -> np.ndarray:
    """The `count` principal components with the most energy, `[width, count]`."""
    _, vectors = np.linalg.eigh((frames.T @ frames).astype(np.float64))
    return vectors[:, ::-1][:, :count].astype(np.float32)


def _rotation(key: Array, inputs: int, outputs: int) -> np.ndarray:
    """Random matrix `[inputs, outputs]` with orthonormal rows; `inputs` is at most `outputs`."""
    return np.asarray(jax.nn.initializers.orthogonal()(key, (inputs, outputs), jnp.float32))


def _still(half: Encoder | Decoder) -> None:
    for layer in half.layers:
        if isinstance(layer, ResidualBlock):
            layer.widen.kernel[...] = jnp.zeros_like(layer.widen.kernel[...])
            if layer.shortcut is not None:
                layer.shortcut.kernel[...] = jnp.eye(layer.shortcut.kernel.shape[-1])[None]
        elif isinstance(layer, LSTM):
            for recurrent in layer.layers:
                recurrent.input_kernel[...] = RECURRENT * recurrent.input_kernel[...]
