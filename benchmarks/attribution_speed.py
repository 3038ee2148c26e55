"""How fast are Integrated Gradients, against Captum on the same weights?

    python -m benchmarks.attribution_speed [--subject published] [--cases 32x1,1x1] [--points 50] [--json FILE]

A case is clips x seconds. Both sides are told which class to explain, take Gauss-Legendre points, and are compared
before anything is timed. Captum takes the number of rows at a time (`internal_batch_size`) that is its fastest here;
ours runs with several chunks, on one device that uses all cores and on a device a core, which divide the clips, or the
points of an only clip. `benchmarks.attribution` asks how many points are needed.
"""

import argparse
import functools
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from audex_jax.attribution.methods.integrated_gradients import integrated_gradients
from audex_jax.classifiers.transformer import LatentTransformer
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.devices.mapping import AXIS, map_over_devices
from benchmarks import reference
from benchmarks.measure import Run, fastest, in_turns, must_agree, parser_for, report, show, times_faster
from benchmarks.sides import ROWS, sizes_to_try
from benchmarks.subject import SUBJECTS, clips_of, explainer_of, export

CASES = "1x0.5,1x1,1x5,8x1,32x1"
CHUNKS = (1, 2, 5, 8)
TOLERANCE = 1e-3
Clips = tuple[Any, Any]  # latents `[b, t, d]`, and the class of each, `[b]`


@functools.partial(jax.jit, static_argnames=("points", "chunk", "axis"))
def attribute(classifier: Any, clips: Clips, points: int, chunk: int, axis: str | None = None) -> jax.Array:
    """Attributions `[b, t, d]` of each clip's class, from zero; `axis` as in `integrated_gradients`."""

    def one(latent: jax.Array, target: jax.Array) -> jax.Array:
        valid = jnp.ones(len(latent), bool)
        how: dict[str, Any] = {"rule": "gauss-legendre", "steps": points, "chunk": chunk, "axis": axis}
        return integrated_gradients(lambda z: classifier(z, valid)[target], latent, 0.0, **how).attribution

    return jax.vmap(one)(*clips)


def ours(classifier: LatentTransformer, clips: Clips, points: int) -> dict[str, Run]:
    """Ways to attribute a batch, by devices and chunk."""
    here, devices, alone = jax.device_put(clips, jax.local_devices()[0]), jax.local_device_count(), len(clips[0]) == 1
    given = [np.repeat(part, devices, 0) for part in clips] if alone else clips  # each device has the only clip
    setups: dict[str, Run] = {}
    for chunk in sorted({min(chunk, points) for chunk in CHUNKS}):
        step = functools.partial(attribute, points=points, chunk=chunk)
        setups[f"one device, chunk {chunk}"] = functools.partial(step, classifier, here)
        if devices > 1 and len(given[0]) % devices == 0:
            mapped = map_over_devices(functools.partial(step, axis=AXIS if alone else None), classifier)
            run = functools.partial(mapped.step, mapped.weights, mapped.place(given))
            setups[f"{'points' if alone else 'clips'} over {devices} devices, chunk {chunk}"] = run
    return setups


def theirs(folder: str, clips: Clips, seconds: float, points: int) -> dict[str, Run]:
    """Ways to do so with Captum, by rows at a time."""
    classifier = reference.load_classifier(folder)
    latent, target = torch.from_numpy(clips[0]), torch.from_numpy(clips[1].astype(np.int64))
    return {
        f"Captum, {rows} rows": functools.partial(reference.gradients, classifier, latent, target, points, rows)
        for rows in sizes_to_try(ROWS, seconds, points * len(latent))
    }


def measure(
    classifier: LatentTransformer, folder: str, clips: Clips, length: float, arguments: argparse.Namespace
) -> dict:
    """One row: the fastest of either side in turns, after the two were found to agree."""
    own, other = ours(classifier, clips, arguments.points), theirs(folder, clips, length, arguments.points)
    expected = next(iter(other.values()))().numpy()
    (best, first), (rival, _) = fastest(own), fastest(other)
    result = np.asarray(own[best]()).reshape(-1, *expected.shape[1:])[: len(expected)]
    error = must_agree("attributions", result, expected, TOLERANCE)
    runs = {"ours": own[best], "theirs": other[rival]}
    found = in_turns(runs, arguments.repeats, in_a_loop=len(expected) == 1)
    return {
        "clips": len(expected),
        "seconds": length,
        "points": arguments.points,
        "ours": best,
        "ms a clip": 1e3 * found["ours"].median / len(expected),
        "first run, s": first,
        "theirs": rival,
        "its ms a clip": 1e3 * found["theirs"].median / len(expected),
        "x faster": times_faster(found["ours"], found["theirs"]),
        "error": error,
        "timings": {name: timing.record() for name, timing in found.items()},
    }


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("attribution_speed", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--cases", default=CASES, help="clips x seconds, with commas")
    parser.add_argument("--points", type=int, default=50, help="on the path; Captum's default is 50")
    arguments = parser.parse_args(argv)
    use_each_core_as_a_device()
    subject = "tiny" if arguments.small else arguments.subject
    if arguments.small:
        arguments.cases, arguments.points = "1x0.5,2x0.5", 4
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        export(explainer_of(subject).model, folder)
        for case in arguments.cases.split(","):
            count, seconds = case.split("x")
            explainer = explainer_of(subject, float(seconds))
            audio = clips_of(explainer, int(count))
            codec, classifier = explainer.model.codec, explainer.model.classifier
            latent = np.asarray(jax.jit(codec.encode)(audio, np.full(len(audio), audio.shape[1], np.int32)))
            logits = jax.vmap(classifier)(latent, np.ones(latent.shape[:2], bool))
            clips = np.array(latent), np.asarray(logits.argmax(-1))
            rows.append(measure(classifier, folder, clips, float(seconds), arguments))
            show(subject, [{name: value for name, value in row.items() if name != "timings"} for row in rows])
    report(arguments, {"subject": subject, "rows": rows})


if __name__ == "__main__":
    main()
