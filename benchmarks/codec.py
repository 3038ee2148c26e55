"""How fast do EnCodec's encoder and decoder run, against `transformers` on the same weights?

    python -m benchmarks.codec [--subject published] [--cases 8x1,1x1] [--compile] [--json FILE]

A case is clips x seconds. Beside `transformers` as it is stands its fastest form here: weight norm folded, inference
mode, few clips of a large batch at a time, with --compile `torch.compile` too. Ours runs on one device that uses all
cores and, for several clips, on a device a core. Nothing is timed before the results were compared.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from audex_jax.codecs.encodec import Encodec
from audex_jax.devices.cpu import use_each_core_as_a_device
from audex_jax.devices.mapping import map_over_devices
from benchmarks import reference
from benchmarks.measure import Run, fastest, in_turns, must_agree, parser_for, report, show, times_faster
from benchmarks.sides import TOGETHER
from benchmarks.subject import SUBJECTS, clips_of, explainer_of, export

CASES = "1x0.5,1x1,1x5,1x30,8x1,64x1"
TOLERANCE = 1e-4


@jax.jit
def encode(codec: Encodec, audio: jax.Array) -> jax.Array:
    return codec.encoder(audio)


@jax.jit
def decode(codec: Encodec, latent: jax.Array) -> jax.Array:
    return codec.decoder(latent)


def ours(step: Callable[[Encodec, Any], jax.Array], codec: Encodec, inputs: np.ndarray) -> dict[str, Run]:
    """Ways to run `step` on a batch: on one device, and split over all of them."""
    here, devices = jax.device_put(inputs, jax.local_devices()[0]), jax.local_device_count()
    setups: dict[str, Run] = {"one device": lambda: step(codec, here)}
    if devices > 1 and len(inputs) % devices == 0:
        mapped = map_over_devices(step, codec)
        there = mapped.place(inputs)
        setups[f"{devices} devices"] = lambda: mapped.step(mapped.weights, there)
    return setups


def theirs(folder: str, direction: str, inputs: np.ndarray, compile_too: bool) -> dict[str, Run]:
    """Ways to run the same half in PyTorch, on `[b, n, c]` turned to its own layout beforehand."""
    plain, folded = (getattr(reference.load_codec(folder, folded), f"{direction}r") for folded in (False, True))
    given = torch.from_numpy(np.array(inputs)).transpose(1, 2).contiguous()
    setups: dict[str, Run] = {
        "transformers": torch.no_grad()(functools.partial(plain, given)),
        "folded": torch.inference_mode()(functools.partial(folded, given)),
    }
    for few in TOGETHER:
        if few < len(given):
            in_parts = functools.partial(reference.in_parts, folded, given, few)
            setups[f"folded, {few} at a time"] = torch.inference_mode()(in_parts)
    if compile_too:
        setups["compiled"] = torch.no_grad()(functools.partial(torch.compile(folded), given))
    return setups


def measure(codec: Encodec, folder: str, direction: str, inputs: np.ndarray, arguments: argparse.Namespace) -> dict:
    """One row: both sides in turns, after they were found to agree."""
    own = ours(encode if direction == "encode" else decode, codec, inputs)
    other = theirs(folder, direction, inputs, arguments.compile)
    (best, first), (rival, _) = fastest(own), fastest(other)
    expected = other["transformers"]().transpose(1, 2).numpy()
    error = must_agree(direction, np.asarray(own[best]()).reshape(expected.shape), expected, TOLERANCE)
    runs = {"ours": own[best], "rival": other[rival], "transformers": other["transformers"]}
    found = in_turns(runs, arguments.repeats, in_a_loop=True)
    return {
        "direction": direction,
        "clips": len(inputs),
        "ours": best,
        "ms": 1e3 * found["ours"].median,
        "first run, s": first,
        "transformers, ms": 1e3 * found["transformers"].median,
        "x faster": times_faster(found["ours"], found["transformers"]),
        "its best": rival,
        "x faster than it": times_faster(found["ours"], found["rival"]),
        "error": error,
        "timings": {name: timing.record() for name, timing in found.items()},
    }


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("codec", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--cases", default=CASES, help="clips x seconds, with commas")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too; takes minutes")
    arguments = parser.parse_args(argv)
    use_each_core_as_a_device()
    subject = "tiny" if arguments.small else arguments.subject
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        export(explainer_of(subject).model, folder)
        for case in ("2x0.5" if arguments.small else arguments.cases).split(","):
            count, seconds = case.split("x")
            explainer = explainer_of(subject, float(seconds))
            codec, audio = explainer.model.codec, clips_of(explainer, int(count))
            for direction, inputs in (("encode", audio), ("decode", np.asarray(encode(codec, audio)))):
                row = measure(codec, folder, direction, inputs, arguments)
                rows.append({"seconds": float(seconds)} | row)
            show(subject, [{name: value for name, value in row.items() if name != "timings"} for row in rows])
    report(arguments, {"subject": subject, "rows": rows})


if __name__ == "__main__":
    main()
