"""A start for codec training: principal components of the audio, rectified, and back.

From random weights a codec first learns spectra with the wrong phase and stays there for thousands of steps. Here each
strided convolution of the encoder maps a frame's own samples onto the principal components of what it receives, as
many as it has channels, and its mirror image in the decoder is the transpose; the other taps, the residual branches
and the LSTMs start at (nearly) nothing. Signals inside are small enough for ELU to be nearly linear. So up to the last
ELU the encoder is the frame-wise Karhunen-Loeve transform of the training audio.

There half of the latent's dimensions receive the components and the other half their negatives, large enough for ELU
to cut off what is below zero. A component is the difference of its two halves, so the decoder gets the waveform back;
their sum is its magnitude, which a classifier needs and cannot easily learn from signed coefficients of random phase.
An edited latent survives decoding and encoding: a half that is taken away stays away. Training goes on from there.

Orthogonal starts: Saxe et al. 2014, arXiv 1312.6120; residual branches from zero: Zhang et al. 2019, arXiv 1901.09321;
rectified pairs: concatenated ReLU, Shang et al. 2016, arXiv 1603.05201.
"""

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.codecs.encodec import Encodec
from audex_jax.codecs.encodec.conv import Conv1d, ConvTranspose1d, conv_padding, transpose_trim
from audex_jax.codecs.encodec.seanet import LSTM, Decoder, Encoder, ResidualBlock
from audex_jax.core.types import Array, Audio

LEVEL = 0.04  # RMS of the channels between layers, small enough for ELU to be nearly linear
STEEP = 8.0  # of the input to the rectifying ELU: below zero it lets through at most 1 / STEEP
WHITENING = 0.5  # each component is divided by this power of its standard deviation
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
    *down, last = [layer for layer in encoder.layers if isinstance(layer, Conv1d)]
    first, *up = [layer for layer in decoder.layers if isinstance(layer, Conv1d | ConvTranspose1d)]
    signal, samples = np.asarray(audio, np.float32), codec.config.channels
    for index, (forward, back) in enumerate(zip(down, reversed(up), strict=True)):
        _, inputs, outputs = forward.kernel.shape
        stride = forward.stride
        frames = signal[:, : signal.shape[1] // stride * stride].reshape(-1, stride * inputs)
        samples *= stride
        deepest = forward is down[-1]
        count = min(codec.config.dim // 2 if deepest else outputs, samples)
        matrix = _components(frames, count)  # [stride * inputs, components]
        components = frames @ matrix
        rotation = _rotation(jax.random.fold_in(key, index), count, outputs)
        rotation = rotation * LEVEL / (components @ rotation).std()
        signal = (components @ rotation).reshape(len(signal), -1, outputs)
        there, back_again = matrix @ rotation, matrix @ np.linalg.pinv(rotation).T
        _set(back, back_again.reshape(stride, inputs, outputs).swapaxes(1, 2))
        if not deepest:
            _set(forward, there.reshape(stride, inputs, outputs))
            continue
        scale = components.std(0) ** -WHITENING
        scale /= (components * scale).std()
        halves = np.zeros((count, outputs), np.float32)
        halves[:, : 2 * count] = np.concatenate([np.diag(scale), -np.diag(scale)], axis=1)
        _set(forward, STEEP * (matrix @ halves).reshape(stride, inputs, outputs))
        width = last.kernel.shape[-1]
        _set(last, np.eye(outputs, width, dtype=np.float32)[None] / STEEP)
        difference = np.concatenate([np.diag(1 / scale), -np.diag(1 / scale)]) @ rotation
        _set(first, np.pad(difference, ((0, width - 2 * count), (0, 0)))[None])


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
