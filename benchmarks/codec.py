"""How fast do EnCodec's encoder and decoder run, against `transformers` on the same weights, and against the machine?

    python -m benchmarks.codec [--subject published] [--cases 8x1,1x1] [--compile] [--json FILE]

A case is clips x seconds. Beside `transformers` as it is stands the best of it: weight norm folded, inference mode, a
few clips of a large batch at a time, with --compile `torch.compile` too. Ours runs on one device that uses all cores
and, for several clips, on a device a core. `of the ceiling` is the share of the arithmetic rate of a large product,
measured in the same rounds: of what is multiplied, and, `as direct`, of what PyTorch multiplies for the same result,
which is more than what minimal filtering leaves. Before anything is timed the two results are compared.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from audex_jax.codecs.encodec import Encodec
from audex_jax.devices.mapping import a_device_for_each_core, map_over_devices
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

CASES = "1x0.5,1x1,1x5,1x30,8x1,64x1"
TOLERANCE = 1e-4


@jax.jit
def encode(codec: Encodec, audio: jax.Array) -> jax.Array:
    return codec.encode(audio)


@jax.jit
def decode(codec: Encodec, latent: jax.Array) -> jax.Array:
    return codec.decode(latent)


def ours(step: Callable[[Encodec, Any], jax.Array], codec: Encodec, inputs: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Ways to run `step` on a batch: on one device, and split over all of them."""
    here = jax.device_put(inputs, jax.local_devices()[0])
    ways: dict[str, Callable[[], Any]] = {"one device": lambda: step(codec, here)}
    if len(jax.local_devices()) > 1 and len(inputs) % len(jax.local_devices()) == 0:
        mapped = map_over_devices(step, codec)
        there = mapped.place(inputs)
        ways["a device a core"] = lambda: mapped.step(mapped.weights, there)
    return ways


def theirs(
    codec: Encodec, direction: str, inputs: np.ndarray, compile_too: bool
) -> tuple[dict[str, Callable[[], Any]], float]:
    """Ways to run the same half in PyTorch, on `[b, n, c]` turned to its own layout beforehand, and their FLOPs."""
    import torch

    from benchmarks import reference

    half = f"{direction}r"
    plain, folded = (getattr(reference.codec_of(codec, folded), half) for folded in (False, True))
    given = torch.from_numpy(np.array(inputs)).transpose(1, 2).contiguous()
    frames = len(inputs) * (inputs.shape[1] if direction == "decode" else codec.config.frames(inputs.shape[1]))
    ways = {
        "transformers": torch.no_grad()(functools.partial(plain, given)),
        "folded": torch.inference_mode()(functools.partial(folded, given)),
    }
    for few in reference.TOGETHER:
        if few < len(given):
            in_parts = functools.partial(reference.in_parts, folded, given, few)
            ways[f"folded, {few} at a time"] = torch.inference_mode()(in_parts)
    if compile_too:
        ways["compiled"] = torch.no_grad()(functools.partial(torch.compile(folded), given))
    return ways, reference.flops_of(folded, given, frames)


def measure(codec: Encodec, direction: str, inputs: np.ndarray, length: float, arguments: argparse.Namespace) -> dict:
    """One row: both sides in turns, after they were found to agree."""
    step = encode if direction == "encode" else decode
    own, (reference, direct) = ours(step, codec, inputs), theirs(codec, direction, inputs, arguments.compile)
    (best, cold), (rival, _) = fastest(own), fastest(reference)
    expected = reference["transformers"]().transpose(1, 2).numpy()
    error = must_agree(direction, np.asarray(own[best]()).reshape(expected.shape), expected, TOLERANCE)
    runs = {best: own[best], rival: reference[rival], "transformers": reference["transformers"]}
    found = in_turns({**runs, "product": product(), "copy": copy()}, arguments.repeats, in_a_loop=True)
    return {
        "direction": direction,
        "clips": len(inputs),
        "seconds": length,
        "error": error,
        "ours": best,
        "cold": cold,
        "theirs": rival,
        "times faster than transformers": times_faster(found[best], found["transformers"]),
        "times faster than its best": times_faster(found[best], found[rival]),
        "share of ceiling": share_of_ceiling(flops_of(step, codec, inputs), found[best], found["product"]),
        "share of ceiling, as direct": share_of_ceiling(direct, found[best], found["product"]),
        "ceiling": ceiling(found),
        "timings": {name: timing.record() for name, timing in found.items()},
    }


def table(rows: list[dict]) -> list[dict]:
    """What of the rows is shown."""
    return [
        {
            "direction": row["direction"],
            "clips": row["clips"],
            "seconds": row["seconds"],
            "ours": row["ours"],
            "ms": 1e3 * row["timings"][row["ours"]]["median"],
            "transformers, ms": 1e3 * row["timings"]["transformers"]["median"],
            "x faster": row["times faster than transformers"],
            "its best": row["theirs"],
            "x faster than it": row["times faster than its best"],
            "of the ceiling": row["share of ceiling"],
            "as direct": row.get("share of ceiling, as direct"),  # older results lack it
            "error": row["error"],
        }
        for row in rows
    ]


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("benchmarks.codec", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--cases", default=CASES, help="clips x seconds, with commas")
    parser.add_argument("--compile", action="store_true", help="let torch.compile try, too; minutes")
    arguments = parser.parse_args(argv)
    a_device_for_each_core()
    codec = weights_of("tiny" if arguments.small else arguments.subject).codec
    rows = []
    for case in ("1x1,2x0.5" if arguments.small else arguments.cases).split(","):
        clips, length = int(case.split("x")[0]), float(case.split("x")[1])
        audio = clips_of(codec.config, clips, length)
        latent = np.asarray(encode(codec, audio))
        for direction, inputs in (("encode", audio), ("decode", latent)):
            rows.append(measure(codec, direction, inputs, length, arguments))
            show(f"{direction}, {case}", table(rows[-1:]))
    show(f"{codec.config.name} on {jax.devices()[0].device_kind}", table(rows))
    report(arguments, {"subject": codec.config.name, "rows": rows})


if __name__ == "__main__":
    main()
