"""How long does a whole explanation take, against PyTorch and Captum doing the same, and against the published way?

    python -m benchmarks.pipeline [--subject published] [--clips 32] [--parts same,equal,levels,memory,refined]

The job: encode, classify, Integrated Gradients, keep and delete a fifth, decode the whole, the kept and the rest,
encode and classify these three again. Everything on both sides has the same weights, clips and cores, is run in batches
of the size that suits it best, and is timed only once the results were found to agree.

    same      both with Captum's default, 50 points of Gauss-Legendre
    equal     ours with as few points as rank as well as Captum's 50: 0.99 of the top fifth that 500 points find
    bfloat16  both again, with the products of the path's gradients in bfloat16, which PyTorch may use in all its
              products; of the fifth that is kept a share is the same as with PyTorch's float32
    levels    the published evaluation at 7 levels, clip by clip, attribution and filler made anew for each level;
              ours attributes once, and takes clips and levels in batches
    memory    resident memory of the whole job at the same 50 points; see `benchmarks.memory`
    refined   ours with the ranking `refined`; PyTorch has nothing like it
"""

import argparse
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution import integrated_gradients
from audex_jax.classifiers.transformer import in_bfloat16
from audex_jax.devices.mapping import a_device_for_each_core, map_over_devices
from audex_jax.explain.step import (
    Model,
    Settings,
    explain_step,
    filler_latent,
    latent_of,
    logits_of_audio,
    map_clips,
    path_function,
    sounds_of,
    valid_frames,
)
from audex_jax.masking.edit import element_ranks, fill, top_share
from benchmarks.agreement import check, check_whole, kept_alike
from benchmarks.arithmetic import flops_of
from benchmarks.attribution import overlaps
from benchmarks.measure import (
    ceiling,
    copy,
    fastest,
    in_turns,
    parser_for,
    product,
    report,
    share_of_ceiling,
    show,
    times_faster,
)
from benchmarks.memory import POINTS, of_both
from benchmarks.subject import SUBJECTS, clips_of, weights_of

PARTS = ("same", "equal", "bfloat16", "levels", "memory", "refined")
SAME = Settings(ranking="weighted", rule="gauss-legendre", steps=POINTS)
FEWER, FEWER_RULE, EXACT = (4, 8, 12, 16, 24, 32), "riemann-middle", 500
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.417, 0.5, 0.7)
ROWS = (100, 200)  # at a time, for Captum
CHUNKS = (2, 5)  # points at a time of each clip, for ours


def in_batches(step: Callable[[Model, Any], Any], model: Model, audio: np.ndarray, batch: int, devices: int):
    """A run of `step(weights, (audio, lengths, targets))` over all clips, `batch` at a time on some devices."""
    mapped = map_over_devices(step, weights, devices=jax.local_devices()[:devices])
    lengths, targets = np.full(len(audio), audio.shape[1], np.int32), np.full(len(audio), -1, np.int32)

    def part(start: int) -> Any:
        chosen = slice(start, start + batch)
        return mapped.step(mapped.weights, mapped.place((audio[chosen], lengths[chosen], targets[chosen])))

    return lambda: [part(start) for start in range(0, len(audio), batch)]


def explain(settings: Settings) -> Callable[[Model, Any], Any]:
    """The package's own step."""
    return lambda weights, batch: explain_step(weights, *batch, settings, None)


def explain_levels(
    settings: Settings, through_audio: bool, shares: Sequence[float] = LEVELS
) -> Callable[[Model, Any], jax.Array]:
    """Logits of what each level keeps, `[levels, b, k]`; one attribution serves all levels."""

    def step(model: Model, batch: Any) -> jax.Array:
        audio, lengths, _ = batch
        latent = latent_of(weights.codec, audio, lengths, None)
        valid = valid_frames(lengths, latent.shape[1], weights.codec.config.hop)
        filler = filler_latent(weights, latent.shape[1], settings)

        def ranks(clip: jax.Array, frames: jax.Array) -> jax.Array:
            target = weights.classifier(clip, frames).argmax()
            f, affine = path_function(weights.classifier, frames, target)
            how = {"rule": settings.rule, "steps": settings.steps, "chunk": settings.chunk, "affine": affine}
            return element_ranks(integrated_gradients(f, clip, filler, **how).attribution, frames)

        order = map_clips(ranks, latent, valid)

        def listen(level: jax.Array) -> jax.Array:
            kept = jax.vmap(lambda z, r, v: fill(z, top_share(r, v, level), filler))(latent, order, valid)
            if through_audio:
                sounds = sounds_of(weights.codec, kept, lengths, audio.shape[1])
                return logits_of_audio(weights, sounds, lengths, None)
            return jax.vmap(weights.classifier)(kept, valid)

        return jax.lax.map(listen, jnp.array(shares))

    return step


def own_ways(step: Any, model: Model, audio: np.ndarray, batches: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """On one device and on all, by batch."""
    counts = sorted({1, len(jax.local_devices())})
    return {
        f"batch {batch}, {devices} device{'s' * (devices > 1)}": in_batches(step, weights, audio, batch, devices)
        for batch in batches
        for devices in counts
        if batch % devices == 0
    }


def captum_ways(
    model: Model, audio: np.ndarray, batches: tuple[int, ...], rounded: bool, compile_too: bool
) -> dict[str, Callable[[], Any]]:
    """By batch, and by rows and clips at a time where a batch has more; with bfloat16 and `torch.compile`, or not."""
    from benchmarks import reference

    seconds = audio.shape[1] / weights.codec.config.sample_rate
    jobs = {compiled: reference.job_of(weights, compiled=compiled) for compiled in sorted({False, compile_too})}
    return {
        f"batch {batch}, {rows} rows, codec {clips}{', bfloat16' * medium}{', compiled' * compiled}": functools.partial(
            job.in_batches, audio, batch, points=POINTS, rows=rows, together=clips, in_bfloat16=medium
        )
        for compiled, job in jobs.items()
        for batch in batches
        for rows in reference.sizes_to_try(ROWS, seconds, POINTS * batch)
        for clips in reference.sizes_to_try(reference.TOGETHER, seconds, batch)
        for medium in sorted({False, rounded})
    }


class Rival(NamedTuple):
    """PyTorch with Captum as it is fastest here, and its results in float32."""

    way: str
    run: Callable[[], Any]
    exact: list[dict]


def fastest_rival(model: Model, audio: np.ndarray, arguments: argparse.Namespace, rounded: bool) -> Rival:
    captum = captum_ways(weights, audio, arguments.batches, rounded, arguments.compile)
    best, _ = fastest(captum)
    return Rival(best, captum[best], captum[next(iter(captum)) if "bfloat16" in best else best]())


def same(model: Model, audio: np.ndarray, arguments: argparse.Namespace, settings: Settings, rival: Rival) -> dict:
    """Both sides with the same points, or ours with fewer; see the top."""
    own = {
        f"{way}, chunk {chunk}": run
        for chunk in CHUNKS
        for way, run in own_ways(
            explain(dataclasses.replace(settings, chunk=chunk)), weights, audio, arguments.batches
        ).items()
    }
    best, cold = fastest(own)
    results = own[best]()
    errors = check(results, rival.exact, settings == SAME)
    shared = {"kept as in float32": kept_alike(results, rival.exact)} if settings.precision == "bfloat16" else {}
    runs = {"ours": own[best], "theirs": rival.run, "product": product(), "copy": copy()}
    found = in_turns(runs, arguments.repeats)
    batch = (audio[:1], np.full(1, audio.shape[1], np.int32), np.full(1, -1, np.int32))
    flops = flops_of(explain(settings), weights, batch) * len(audio)
    return {
        "rule": settings.rule,
        "points": settings.steps,
        "ours": best,
        "cold, s": cold,
        "theirs": rival.way,
        "ms a clip": 1e3 * found["ours"].median / len(audio),
        "theirs, ms a clip": 1e3 * found["theirs"].median / len(audio),
        "x faster": times_faster(found["ours"], found["theirs"]),
        "of the ceiling": share_of_ceiling(flops, found["ours"], found["product"]),
        **shared,
        "errors": errors,
        "ceiling": ceiling(found),
        "timings": {name: timing.record() for name, timing in found.items()},
    }


def enough_points(model: Model, audio: np.ndarray, precision: str = "float32") -> dict:
    """Fewest points that rank as the exact path does in 0.99 of the top fifth, mean over clips."""
    lengths = np.full(len(audio), audio.shape[1], np.int32)
    latent = jax.jit(functools.partial(latent_of, bandwidth=None))(weights.codec, audio, lengths)

    @functools.partial(jax.jit, static_argnames=("rule", "points", "precision"))
    def attributions(model: Model, latent: jax.Array, rule: str, points: int, precision="float32") -> jax.Array:
        model = in_bfloat16(weights.classifier) if precision == "bfloat16" else weights.classifier

        def one(z: jax.Array) -> jax.Array:
            valid = jnp.ones(len(z), bool)
            target = weights.classifier(z, valid).argmax()
            f = lambda x: model(x, valid)[target]  # noqa: E731
            return integrated_gradients(f, z, 0.0, rule=rule, steps=points).attribution

        return jax.vmap(one)(latent)

    exact = np.asarray(attributions(weights, latent, "gauss-legendre", EXACT))

    def overlap(rule: str, points: int, precision: str = "float32") -> float:
        return float(overlaps(np.asarray(attributions(weights, latent, rule, points, precision)), exact).mean())

    captum = overlap(SAME.rule, POINTS)
    for points in FEWER:
        reached = overlap(FEWER_RULE, points, precision)
        if reached >= 0.99:
            found = {"rule": FEWER_RULE, "points": points, "precision": precision, "overlap": reached}
            return found | {"Captum's overlap": captum}
    found = {"rule": SAME.rule, "points": POINTS, "precision": "float32", "overlap": captum}
    return found | {"Captum's overlap": captum}


def settings_of(enough: dict) -> Settings:
    return Settings(ranking="weighted", rule=enough["rule"], steps=enough["points"], precision=enough["precision"])


def levels(model: Model, audio: np.ndarray, arguments: argparse.Namespace, settings: Settings) -> list[dict]:
    """The published way on a few of the clips, ours on all; per clip."""
    from benchmarks import reference

    job, rows = reference.job_of(weights, folded=False), []
    settings = dataclasses.replace(settings, chunk=min(CHUNKS))
    few = audio[: arguments.published_clips]
    for through_audio in (False, True):
        own = own_ways(explain_levels(settings, through_audio), weights, audio, arguments.batches)
        best, _ = fastest(own)
        whole = own_ways(explain_levels(settings, through_audio, (1.0,)), weights, audio, arguments.batches)[best]()
        expected = job.published_levels(few, (1.0,), 1, through_audio)
        error = check_whole(whole, expected, 1e-2 if through_audio else 1e-3)
        published = functools.partial(job.published_levels, few, LEVELS, POINTS, through_audio)
        found = in_turns({"ours": own[best], "theirs": published}, min(arguments.repeats, 5))
        scale = len(audio) / len(few)
        rows.append(
            {
                "scored": "through the audio" if through_audio else "on the latent",
                "rule": settings.rule,
                "points": settings.steps,
                "ours": best,
                "ms a clip": 1e3 * found["ours"].median / len(audio),
                "theirs, ms a clip": 1e3 * found["theirs"].median / len(few),
                "x faster": scale * times_faster(found["ours"], found["theirs"]),
                "errors": {"logits of the whole": error},
                "timings": {name: timing.record() for name, timing in found.items()},
            }
        )
    return rows


def refined(model: Model, audio: np.ndarray, arguments: argparse.Namespace) -> dict:
    """Ours as `audex explain` runs it, but ranked by refinement."""
    settings = Settings(ranking="refined")
    own = own_ways(explain(settings), weights, audio, arguments.batches)
    best, cold = fastest(own)
    found = in_turns({"ours": own[best], "product": product()}, arguments.repeats)
    batch = (audio[:1], np.full(1, audio.shape[1], np.int32), np.full(1, -1, np.int32))
    flops = flops_of(explain(settings), weights, batch) * len(audio)
    return {
        "steps": settings.refinement,
        "ours": best,
        "cold, s": cold,
        "ms a clip": 1e3 * found["ours"].median / len(audio),
        "of the ceiling": share_of_ceiling(flops, found["ours"], found["product"]),
        "timings": {name: timing.record() for name, timing in found.items()},
    }


HIDDEN = ("errors", "timings", "ceiling")


def plain(row: dict) -> dict:
    """A row as it is shown."""
    return {name: value for name, value in row.items() if name not in HIDDEN}


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("benchmarks.pipeline", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--published-clips", type=int, default=2, help="clips that are explained in the published way")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--batches", default="2,8,32", help="sizes to try, with commas")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--compile", action="store_true", help="let torch.compile try, too; minutes")
    arguments = parser.parse_args(argv)
    a_device_for_each_core()
    if arguments.small:
        arguments.subject, arguments.clips, arguments.batches, arguments.seconds = "tiny", 4, "4", 0.5
        arguments.published_clips = 1
    arguments.batches = tuple(sorted({min(int(b), arguments.clips) for b in arguments.batches.split(",")}))
    weights = weights_of(arguments.subject)
    audio = clips_of(weights.codec.config, arguments.clips, arguments.seconds)
    subject = weights.codec.config.name
    figures: dict[str, Any] = {"subject": subject, "clips": arguments.clips, "seconds": arguments.seconds}
    parts = arguments.parts.split(",")
    rival = functools.cache(lambda rounded: fastest_rival(weights, audio, arguments, rounded))

    def found(name: str, title: str, row: Any) -> Any:
        """Show a part and write all parts so far: they take minutes."""
        figures[name] = row
        show(title, [plain(one) for one in (row if isinstance(row, list) else [row])])
        report(arguments, figures)
        return row

    if {"same", "memory"} & {*parts}:
        found("same", "the same points", same(weights, audio, arguments, SAME, rival(False)))
    if {"equal", "levels"} & {*parts}:
        fewer = settings_of(found("enough", "points that are enough", enough_points(weights, audio)))
        if "equal" in parts:
            found("equal", "equal ranking", same(weights, audio, arguments, fewer, rival(False)))
        if "levels" in parts:
            rows = [row for how in (SAME, fewer) for row in levels(weights, audio, arguments, how)]
            found("levels", "the published evaluation", rows)
    if "bfloat16" in parts:
        rounded = dataclasses.replace(SAME, precision="bfloat16")
        found("same in bfloat16", "the same points, bfloat16", same(weights, audio, arguments, rounded, rival(True)))
        enough = enough_points(weights, audio, "bfloat16")
        found("enough in bfloat16", "points that are enough", enough)
        row = same(weights, audio, arguments, settings_of(enough), rival(True))
        found("bfloat16", "equal ranking, bfloat16", row)
    if "refined" in parts:
        found("refined", "refined ranking", refined(weights, audio, arguments))
    if "memory" in parts:
        found("memory", "memory, MB", of_both(weights, audio, figures["same"], arguments.batches))


if __name__ == "__main__":
    main()
