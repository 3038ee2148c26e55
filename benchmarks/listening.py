"""Which way of putting an explanation together sounds best, and what does it cost in fidelity?

    python -m benchmarks.listening DATA [--model mini-speech-commands] [--limit 48] [--keep 0.2] [--json FILE]

The same elements, the top share of the default ranking, are put together in several ways: hard, with a soft edge, with
the mask smoothed over frames, over the mean latent instead of zero, snapped to the codebooks. Each is compared with the
codec's reconstruction of the whole clip (STOI of the clips with enough speech for it, SI-SDR, log-spectral distance,
level, clipping), and judged: does it keep the prediction, and does the rest lose it?
"""

import argparse
import functools
import json
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.compilation import use_compilation_cache
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import LabelledClip, read_folder
from audex_jax.evaluation.distances import DISTANCES
from audex_jax.evaluation.judge import look, order_elements
from audex_jax.evaluation.outputs import markdown_table
from audex_jax.evaluation.plan import Plan
from audex_jax.evaluation.run import choose
from audex_jax.explain.explainer import Explainer, load_explainer
from audex_jax.explain.step import Model, Settings, filler_latent, logits_of_audio, sounds_of
from audex_jax.io.progress import Bar

EDGE = 0.3  # width of the soft edge, as a share of the elements kept


def hard(ranks, count):
    return (ranks < count).astype(jnp.float32)


def soft(ranks, count):
    return jax.nn.sigmoid((count - ranks) / (EDGE / 4 * count))


def smooth(ranks, count, frames=3):
    kernel = jnp.full((frames, 1), 1 / frames)
    return jax.scipy.signal.convolve(hard(ranks, count), kernel, mode="same")


# name -> (mask, filler, snapped to the codebooks)
DOMAINS: dict[str, tuple[Callable, str, bool]] = {
    "hard": (hard, "zero", False),
    "soft edge": (soft, "zero", False),
    "smoothed over 3 frames": (smooth, "zero", False),
    "over the mean latent": (hard, "mean", False),
    "soft over the mean latent": (soft, "mean", False),
    "snapped to the codebooks": (hard, "zero", True),
}


@functools.partial(jax.jit, static_argnames=("settings", "plan", "bandwidth"))
def put_together(model: Model, clip, settings: Settings, plan: Plan, bandwidth):
    """For every way: kept sounds, their classes and those of the rest, `[w, ...]`; the reconstruction comes first."""
    codec, frames = weights.codec, len(clip.latent)
    zero = filler_latent(weights, frames, settings)
    ranks = order_elements(weights, clip, zero, (settings.ranking,), plan.rule, plan.steps, plan.refinement).ranks[0]
    count = jnp.round(settings.keep * clip.valid.sum() * clip.latent.shape[1])
    own, edits = clip.valid[:, None], [clip.latent, jnp.zeros_like(clip.latent)]
    for mask, filler, snapped in DOMAINS.values():
        other = filler_latent(weights, frames, Settings(filler=filler))
        share = jnp.where(own, mask(ranks, count), 0)
        pair = [other + m * (clip.latent - other) for m in (share, 1 - share)]
        if snapped:
            pair = [codec.quantize(z[None], codec.config.bandwidths[-1])[0] for z in pair]
        edits += pair
    lengths = jnp.full(len(edits), clip.length)
    sounds = sounds_of(codec, jnp.stack(edits), lengths, len(clip.sound))
    sounds *= jnp.sqrt(
        jnp.square(clip.sound).sum() / jnp.maximum(jnp.square(sounds[0]).sum(), 1e-20)
    )  # the clip's level
    return sounds[::2].mean(-1), logits_of_audio(weights, sounds, lengths, bandwidth).argmax(-1).reshape(-1, 2)


def stoi_of(reference: np.ndarray, sound: np.ndarray, rate: int) -> float:
    """STOI of a sound `[n]` against a reference; NaN without enough speech."""
    from pystoi import stoi

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return stoi(reference, sound, rate)
        except Warning:
            return float("nan")


def figures(explainer: Explainer, files: list[LabelledClip], settings: Settings) -> dict:
    """Means over clips for every way, with the settings they hold for."""
    plan, rows = Plan(), []
    clips = read_clips([f.path for f in files], explainer.sample_rate, quiet=True)
    audio, lengths = explainer.pad([c[: explainer.clip_samples] for c in clips])
    with Bar("listening", len(clips)) as bar:
        for number, length in enumerate(lengths):
            clip = look(explainer.model, audio[number], length, explainer.bandwidth)
            sounds, classes = put_together(explainer.model, clip, settings, plan, explainer.bandwidth)
            own = np.asarray(sounds)[:, :length]
            found: dict[str, Any] = {"STOI": [stoi_of(own[0], sound, explainer.sample_rate) for sound in own]}
            found |= DISTANCES(sounds, jnp.broadcast_to(sounds[0], sounds.shape))
            kept, left = np.asarray(classes == clip.target).T
            found |= {"kept": kept, "deleted": ~left}
            rows.append({name: np.asarray(value)[1:] for name, value in found.items()})
            bar.update(number + 1)
    means = {name: np.nanmean([row[name] for row in rows], 0) for name in rows[0]}
    ways = [{"way": way} | {name: float(m[i]) for name, m in means.items()} for i, way in enumerate(DOMAINS)]
    return {"clips": len(rows), "keep": settings.keep, "ranking": settings.ranking, "ways": ways}


def markdown(found: dict) -> str:
    header = list(found["ways"][0])
    cells = [[row["way"], *(f"{row[name]:.3f}" for name in header[1:])] for row in found["ways"]]
    title = f"{found['clips']} clips, {found['keep']:.0%} kept by `{found['ranking']}`, against the reconstruction."
    return f"{title}\n\n{markdown_table(header, cells)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--limit", type=int, default=48)
    parser.add_argument("--keep", type=float, default=Settings().keep)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    use_compilation_cache()
    explainer = load_explainer(arguments.model)
    files = choose(read_folder(arguments.data, explainer.labels).split("test"), arguments.limit)
    found = figures(explainer, files, Settings(keep=arguments.keep))
    print(markdown(found))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file)


if __name__ == "__main__":
    main()
