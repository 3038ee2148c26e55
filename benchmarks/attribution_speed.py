"""How fast are Integrated Gradients, against Captum on the same weights, and against the machine?

    python -m benchmarks.attribution_speed [--subject published] [--cases 32x1,1x1] [--points 50] [--json FILE]

A case is clips x seconds. Both sides are told which class to explain, take Gauss-Legendre points, and are compared
before anything is timed. Captum takes the number of rows at a time (`internal_batch_size`) that is fastest here, and
its model has no gradients of its weights to compute; ours runs with several chunks, on one device that uses all cores
and on a device a core. `python -m benchmarks.attribution` asks how many points are needed.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.attribution import integrated_gradients
from audex_jax.classifiers.transformer import LatentTransformer
from audex_jax.devices.mapping import AXIS, a_device_for_each_core, map_over_devices
from audex_jax.explain.step import latent_of, map_clips, path_function
from audex_jax.training.classifier import predict
from benchmarks.arithmetic import flops_of
from benchmarks.measure import (
    ceiling,
    copy,
    fastest,
    in_turns,
    must_agree,
    parser_for,
    product,
    report,
    share_of_ceiling,
    show,
    times_faster,
)
from benchmarks.subject import SUBJECTS, clips_of, weights_of

CASES = "1x0.5,1x1,1x5,8x1,32x1"
CHUNKS = (1, 2, 5, 8)
ROWS = (50, 100, 200)  # at a time, for Captum
RULE = "gauss-legendre"
TOLERANCE = 1e-3
Clips = tuple[jax.Array, jax.Array]  # latents `[b, t, d]`, and the class of each, `[b]`


def with_class(classifier: LatentTransformer, latent: np.ndarray) -> Clips:
    """Latents and the classes that they are taken for."""
    classes = predict(classifier, latent, np.ones(latent.shape[:2], bool), len(latent))
    return jnp.asarray(latent), jnp.asarray(classes)


@functools.partial(jax.jit, static_argnames=("points", "chunk", "axis"))
def attribute(
    classifier: LatentTransformer, clips: Clips, points: int, chunk: int, axis: str | None = None
) -> jax.Array:
    """Attributions `[b, t, d]` of each clip's class, from zero; `axis` as in `integrated_gradients`."""

    def one(z: jax.Array, target: jax.Array) -> jax.Array:
        valid = jnp.ones(len(z), bool)
        f, affine = path_function(classifier, valid, target)
        how = {"rule": RULE, "steps": points, "chunk": chunk, "affine": affine, "axis": axis}
        return integrated_gradients(f, z, 0.0, **how).attribution

    return map_clips(one, *clips)


def ours(classifier: LatentTransformer, clips: Clips, points: int) -> dict[str, Callable[[], Any]]:
    """Ways to attribute a batch, by device and chunk."""
    here, count = jax.device_put(clips, jax.local_devices()[0]), len(clips[0])
    ways: dict[str, Callable[[], Any]] = {}
    devices = len(jax.local_devices())
    for chunk in CHUNKS:
        step = functools.partial(attribute, points=points, chunk=chunk)
        ways[f"one device, chunk {chunk}"] = functools.partial(step, classifier, here)
        if devices > 1 and count % devices == 0:
            mapped = map_over_devices(step, classifier)
            ways[f"a device a core, chunk {chunk}"] = functools.partial(
                mapped.step, mapped.weights, mapped.place(clips)
            )
        if devices > 1 and count == 1:  # every device is given the clip
            mapped = map_over_devices(functools.partial(step, axis=AXIS), classifier)
            ways[f"points over {devices} devices, chunk {chunk}"] = functools.partial(
                mapped.step, mapped.weights, mapped.place([np.repeat(part, devices, 0) for part in clips])
            )
    return ways


def theirs(classifier: LatentTransformer, clips: Clips, seconds: float, points: int) -> dict[str, Callable[[], Any]]:
    """Ways to do so with Captum, by rows at a time."""
    import torch

    from benchmarks import reference

    model = reference.classifier_of(classifier)
    z, target = torch.from_numpy(np.array(clips[0])), torch.from_numpy(np.array(clips[1], np.int64))
    return {
        f"Captum, {rows} rows": functools.partial(reference.gradients, model, z, target, points, rows)
        for rows in reference.sizes_to_try(ROWS, seconds, points * len(z))
    }


def measure(classifier: LatentTransformer, latent: np.ndarray, length: float, arguments: argparse.Namespace) -> dict:
    """One row: the quickest of either side in turns, after the two were found to agree."""
    points, clips = arguments.points, with_class(classifier, latent)
    own, reference = ours(classifier, clips, points), theirs(classifier, clips, length, points)
    expected = next(iter(reference.values()))().numpy()
    (best, cold), (rival, _) = fastest(own), fastest(reference)
    result = np.asarray(own[best]()).reshape(-1, *expected.shape[1:])
    error = must_agree("attributions", result[: len(expected)], expected, TOLERANCE)  # divided points: on each device
    runs = {best: own[best], rival: reference[rival], "product": product(), "copy": copy()}
    found = in_turns(runs, arguments.repeats, in_a_loop=len(latent) == 1)
    flops = flops_of(functools.partial(attribute, points=points, chunk=points), classifier, clips)
    return {
        "clips": len(latent),
        "seconds": length,
        "points": points,
        "error": error,
        "ours": best,
        "cold": cold,
        "theirs": rival,
        "times faster": times_faster(found[best], found[rival]),
        "share of ceiling": share_of_ceiling(flops, found[best], found["product"]),
        "gradients a second": points * len(latent) / found[best].median,
        "ceiling": ceiling(found),
        "timings": {name: timing.record() for name, timing in found.items()},
    }


def table(rows: list[dict]) -> list[dict]:
    """What of the rows is shown."""
    return [
        {
            "clips": row["clips"],
            "seconds": row["seconds"],
            "ours": row["ours"],
            "ms a clip": 1e3 * row["timings"][row["ours"]]["median"] / row["clips"],
            "theirs": row["theirs"],
            "theirs, ms a clip": 1e3 * row["timings"][row["theirs"]]["median"] / row["clips"],
            "x faster": row["times faster"],
            "of the ceiling": row["share of ceiling"],
            "error": row["error"],
        }
        for row in rows
    ]


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("benchmarks.attribution_speed", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--cases", default=CASES, help="clips x seconds, with commas")
    parser.add_argument("--points", type=int, default=50, help="on the path; Captum's default is 50")
    arguments = parser.parse_args(argv)
    a_device_for_each_core()
    weights = weights_of("tiny" if arguments.small else arguments.subject)
    if arguments.small:
        arguments.cases, arguments.points = "2x0.5", 4
    encode = jax.jit(functools.partial(latent_of, bandwidth=None))
    rows = []
    for case in arguments.cases.split(","):
        clips, length = int(case.split("x")[0]), float(case.split("x")[1])
        audio = clips_of(weights.codec.config, clips, length)
        latent = np.asarray(encode(weights.codec, audio, np.full(clips, audio.shape[1])))
        rows.append(measure(weights.classifier, latent, length, arguments))
        show(case, table(rows[-1:]))
    show(f"{arguments.points} points on {jax.devices()[0].device_kind}", table(rows))
    report(arguments, {"subject": weights.codec.config.name, "rows": rows})


if __name__ == "__main__":
    main()
