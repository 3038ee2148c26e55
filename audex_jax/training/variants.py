"""The variants of a recording that a classifier is trained on.

Every training clip is heard a few times, made once, before training: as it is; changed (shifted in time, mixed with
noise); and after a round trip through the codec, plain and with elements of the latent replaced. The last two matter
because an explanation is judged by what its sound is classified as: the classifier has to know what the codec hands
out.
"""

from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.clips import valid_frames
from audex_jax.core.protocols import Codec
from audex_jax.core.types import Array, Audio, Latent
from audex_jax.explain.model import decode_clips
from audex_jax.training.edits import edit

KINDS = ("latent", "audio")  # that classifiers read
COLOUR, OCTAVES = 5.0, 6  # standard deviation in dB and range of the filters that clips are changed by


def coloured(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sound through a random smooth filter: gains of `COLOUR` dB standard deviation, an octave apart below the top
    frequency and linear in dB between, as rooms, microphones and throats differ."""
    if not len(sound):
        return sound
    gains = np.exp(rng.normal(scale=COLOUR * np.log(10) / 20, size=OCTAVES + 1))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound)) * 2, 2.0**-OCTAVES))
    curve = np.exp(np.interp(octaves, np.arange(-OCTAVES, 1), np.log(gains)))
    return np.fft.irfft(np.fft.rfft(sound) * curve, len(sound))


def change(clip: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """A clip shifted by up to 0.15 of `length`, played up to 15 % faster or slower, coloured, with coloured noise 10 to
    40 dB below it, and in half of the cases with its sign flipped."""
    speed = rng.uniform(0.87, 1.15)
    where = np.arange(0, len(clip) - 1, speed)
    clip = coloured(np.interp(where, np.arange(len(clip)), clip), rng)
    shift = round(rng.uniform(-0.15, 0.15) * length)
    clip = np.pad(clip, (shift, 0)) if shift > 0 else clip[min(-shift, len(clip) // 2) :]
    level = np.sqrt(np.mean(np.square(clip))) + 1e-5
    noise = coloured(rng.standard_normal(len(clip)), rng)
    noise *= level * 10 ** (-rng.uniform(10, 40) / 20) / (np.sqrt(np.mean(np.square(noise))) + 1e-5)
    return (rng.choice([-1, 1]) * (clip + noise))[:length].astype(np.float32)


@jax.jit
def _encode(codec: Codec, audio: Array, lengths: Array) -> Latent:
    return codec.encode(audio, lengths)


@jax.jit
def _round_trip(codec: Codec, audio: Array, lengths: Array, key: Array, edited: Array) -> Audio:
    """What the decoder makes of the clips' latents, those of `edited` clips with elements replaced."""
    latent = codec.encode(audio, lengths)
    latent = jnp.where(edited[:, None, None], edit(latent, key), latent)
    return decode_clips(codec, latent, lengths, audio.shape[1])


def variant_batches(
    codec: Codec, clips: Sequence[np.ndarray], clip_samples: int, variant: int, seed: int, batch: int = 16
) -> Iterator[tuple[Array | np.ndarray, np.ndarray, int]]:
    """The sound of all clips in one variant, some at a time.

    Args:
        codec: frozen codec.
        clips: mono recordings `[n]` at the codec's rate.
        clip_samples: length that they are cut or padded to.
        variant: 0 as they are; 1 after a round trip; odd ones above after a round trip of the changed clip, a
            quarter of them edited; even ones the changed clip.
        seed: of changes and edits.
        batch: clips at a time.

    Yields:
        Audio `[batch, clip_samples, c]`, lengths in samples `[batch]`, and how many of the batch are clips.
    """
    for start in range(0, len(clips), batch):
        chosen = list(clips[start : start + batch])
        if variant >= 2:
            chosen = [
                change(clip, clip_samples, np.random.default_rng([seed, variant, start + i]))
                for i, clip in enumerate(chosen)
            ]
        lengths = np.array([min(len(clip), clip_samples) for clip in chosen] + [clip_samples] * (batch - len(chosen)))
        audio = np.zeros((batch, clip_samples, codec.channels), np.float32)
        for row, clip in enumerate(chosen):
            audio[row, : lengths[row]] = clip[: lengths[row], None]
        if variant % 2:
            key = jax.random.fold_in(jax.random.key(seed), variant * 1_000_003 + start)
            edited = (np.arange(batch) % 4 == 0) & (variant > 1)
            yield _round_trip(codec, audio, lengths, key, edited), lengths, len(chosen)
        else:
            yield audio, lengths, len(chosen)


def make_variant(
    codec: Codec,
    clips: Sequence[np.ndarray],
    clip_samples: int,
    variant: int,
    seed: int,
    kinds: Sequence[str] = ("latent",),
    report: Callable[[int], None] = lambda done: None,
    batch: int = 16,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What classifiers read of all clips in one variant; arguments as of `variant_batches`.

    Args:
        kinds: of `KINDS`, made of the same sounds.
        report: called with the number of clips done.

    Returns:
        For each kind its values, latents `[clips, t, d]` or audio `[clips, n, c]` in half precision, and how many of
        the frames or samples are the clip's own, `[clips]`.
    """
    found: dict[str, list] = {kind: [] for kind in kinds}
    done = 0
    for audio, lengths, count in variant_batches(codec, clips, clip_samples, variant, seed, batch):
        if "latent" in found:
            latent = np.asarray(_encode(codec, audio, lengths))
            own = np.asarray(valid_frames(codec, jnp.asarray(lengths), latent.shape[1])).sum(1)
            found["latent"].append((latent[:count], own[:count]))
        if "audio" in found:
            found["audio"].append((np.asarray(audio, np.float16)[:count], lengths[:count]))
        done += count
        report(done)
    return {kind: (np.concatenate([v for v, _ in p]), np.concatenate([n for _, n in p])) for kind, p in found.items()}
