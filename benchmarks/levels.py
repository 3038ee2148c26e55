"""How long does the published evaluation take, keeping 5 to 70 % of each clip, against doing it as published?

    python -m benchmarks.levels [--subject published] [--clips 32] [--published-clips 2] [--json FILE]

The published scripts (arXiv 2410.07530) take clip by clip and level by level, and compute attribution and filler anew
for every level. Ours attributes once, and takes clips and levels in batches. Both use 50 points of Gauss-Legendre on
the same weights; the edits are classified as latents, or after decoding and encoding. Compared beforehand are the
logits where everything is kept: otherwise each side draws its own noise.
"""

import functools
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.core.settings import Settings
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.devices.mapping import map_over_devices
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import (
    EncodedClip,
    Model,
    encode_and_classify,
    explained_logits,
    filler_latent,
    score_edits,
)
from audex_jax.explain.step import attribute, rank
from audex_jax.masking.edit import fill
from audex_jax.masking.rank import element_ranks, top_share
from benchmarks import reference
from benchmarks.measure import Run, fastest, in_turns, must_agree, parser_for, report, show, times_faster
from benchmarks.subject import SUBJECTS, clips_of, explainer_of, export

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.5, 0.7)
POINTS = 50  # Captum's default
SETTINGS = Settings(ranking="signed", filler="noise", rule="gauss-legendre", steps=POINTS, chunk=2)
TOLERANCES = {False: 1e-3, True: 1e-2}  # of logits, on the latent and through the audio


def logits_at(model: Model, clips: EncodedClip, levels: tuple[float, ...], through_audio: bool) -> jax.Array:
    """Logits of what each level keeps, `[b, levels, k]`; one attribution serves all levels."""
    filler = filler_latent(model, clips.latent.shape[1], SETTINGS)

    def one(clip: EncodedClip) -> jax.Array:
        score = rank(model, clip, SETTINGS, attribute(model, clip, SETTINGS, filler).attribution, filler)
        ranks = element_ranks(score, clip.sounding)
        masks = [top_share(ranks, clip.sounding, level) for level in levels]
        kept = jnp.stack([fill(clip.latent, mask, clip.valid, filler) for mask in masks])
        if through_audio:
            return score_edits(model, clip, kept)[1]
        return jax.vmap(explained_logits(model, clip))(kept)

    return jax.vmap(one)(clips)


def ours(
    explainer: Explainer, audio: np.ndarray, batches: list[int], levels: tuple[float, ...], through_audio: bool
) -> dict[str, Run]:
    """All clips at all levels, by clips at a time."""

    def step(model: Model, batch: tuple) -> jax.Array:
        return logits_at(model, encode_and_classify(model, *batch), levels, through_audio)

    mapped = map_over_devices(step, explainer.model)
    lengths = np.full(len(audio), audio.shape[1], np.int32)

    def run(batch: int) -> list:
        parts = [slice(start, start + batch) for start in range(0, len(audio), batch)]
        return [mapped.step(mapped.weights, mapped.place((audio[part], lengths[part]))) for part in parts]

    sizes = {batch for batch in batches if batch % mapped.devices == 0 and len(audio) % batch == 0}
    return {f"batch {batch}": functools.partial(run, batch) for batch in sorted(sizes)}


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("levels", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--published-clips", type=int, default=2, help="clips that are taken in the published way")
    parser.add_argument("--batches", default="2,8,32", help="clips at a time, to try")
    arguments = parser.parse_args(argv)
    use_each_core_as_a_device()
    if arguments.small:
        arguments.subject, arguments.clips, arguments.batches, arguments.published_clips = "tiny", 4, "4", 1
    explainer, rows = explainer_of(arguments.subject), []
    audio, batches = clips_of(explainer, arguments.clips), [int(batch) for batch in arguments.batches.split(",")]
    few = audio[: arguments.published_clips]
    with tempfile.TemporaryDirectory() as folder:
        export(explainer.model, folder)
        job = reference.Job(folder, folded=False)
        for through_audio in (False, True):
            whole = next(iter(ours(explainer, audio, batches, (1.0,), through_audio).values()))()
            own = np.concatenate([np.asarray(part).reshape(-1, part.shape[-1]) for part in whole])[: len(few)]
            expected = job.published_levels(few, (1.0,), 1, through_audio)[:, 0]
            error = must_agree("logits", own, expected, TOLERANCES[through_audio])
            setups = ours(explainer, audio, batches, LEVELS, through_audio)
            best, first = fastest(setups)
            published = functools.partial(job.published_levels, few, LEVELS, POINTS, through_audio)
            found = in_turns({"ours": setups[best], "theirs": published}, min(arguments.repeats, 5))
            rows.append(
                {
                    "classified": "through the audio" if through_audio else "as latents",
                    "ours": best,
                    "ms a clip": 1e3 * found["ours"].median / len(audio),
                    "first run, s": first,
                    "published, ms a clip": 1e3 * found["theirs"].median / len(few),
                    "x faster": times_faster(found["ours"], found["theirs"]) * len(audio) / len(few),
                    "error": error,
                }
            )
            show(f"{len(LEVELS)} levels, {arguments.subject}", rows)
    report(arguments, {"subject": arguments.subject, "clips": len(audio), "rows": rows})


if __name__ == "__main__":
    main()
