"""Where does the time go, operation by operation?

    python -m benchmarks.where encode|decode|attribute|explain|refine [--subject published] [--clips 8] [--top 25]

Runs one compiled step under `jax.profiler` and adds up what each operation of the compiled program took, over all
threads and turns of loops, beside where in the source it comes from. A loop contains what runs in it: its own line is
left out. `--hlo FILE` writes the compiled program, whose names these are.
"""

import argparse
import collections
import dataclasses
import functools
import pathlib
import re
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from audex_jax.explain.step import Model, Settings, explain_step, latent_of
from benchmarks.attribution_speed import attribute, with_class
from benchmarks.codec import decode, encode
from benchmarks.measure import seconds, show
from benchmarks.subject import SUBJECTS, clips_of, weights_of

STEPS = ("encode", "decode", "attribute", "explain", "refine")
OUTER = re.compile(r"(while|call|conditional)[.\d]*$")


def step_of(name: str, model: Model, arguments: argparse.Namespace) -> tuple[Callable[..., Any], tuple]:
    """A jitted step and its arguments."""
    audio = clips_of(weights.codec.config, arguments.clips, arguments.seconds)
    lengths = np.full(len(audio), audio.shape[1], np.int32)
    latent = jax.jit(functools.partial(latent_of, bandwidth=None))(weights.codec, audio, lengths)
    clips = with_class(weights.classifier, latent)
    settings = Settings(ranking="weighted", steps=arguments.points, chunk=arguments.chunk)
    if name == "refine":
        settings = dataclasses.replace(settings, ranking="refined")
    return {
        "encode": (encode, (weights.codec, audio)),
        "decode": (decode, (weights.codec, latent)),
        "attribute": (attribute, (weights.classifier, clips, arguments.points, arguments.chunk)),
        "explain": (explain_step, (weights, audio, lengths, np.full(len(audio), -1, np.int32), settings, None)),
        "refine": (explain_step, (weights, audio, lengths, np.full(len(audio), -1, np.int32), settings, None)),
    }[name]


def by_operation(run: Callable[[], Any]) -> collections.Counter[str]:
    """Milliseconds by name of the operation, all threads together."""
    seconds(run)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            seconds(run)
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
    taken: collections.Counter[str] = collections.Counter()
    for plane in data.planes:
        for line in plane.lines:
            for event in line.events:
                if any(name == "hlo_op" for name, _ in event.stats) and not OUTER.match(event.name):
                    taken[event.name] += event.duration_ns / 1e6
    return taken


def described(program: str) -> dict[str, tuple[str, str]]:
    """Result type and source of every operation of a compiled program."""
    found = {}
    for line in program.splitlines():
        match = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = (\S+) ", line)
        if match:
            source = re.search(r'op_name="([^"]*)"', line)
            found[match[1]] = (match[2], "/".join(source[1].split("/")[-3:]) if source else "")
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.where", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--chunk", type=int, default=8)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--hlo", metavar="FILE", help="write the compiled program")
    arguments = parser.parse_args(argv)
    step, inputs = step_of(arguments.step, weights_of(arguments.subject), arguments)
    program = step.lower(*inputs).compile().as_text()
    if arguments.hlo:
        pathlib.Path(arguments.hlo).write_text(program, encoding="utf-8")
    taken, known = by_operation(lambda: step(*inputs)), described(program)
    whole = sum(taken.values())
    rows = [
        {"operation": name, "ms": ms, "share": ms / whole, "result": known.get(name, ("", ""))[0]}
        | {"source": known.get(name, ("", ""))[1]}
        for name, ms in taken.most_common(arguments.top)
    ]
    show(f"{arguments.step}, {arguments.clips} clips: {whole:.1f} ms of all threads", rows)


if __name__ == "__main__":
    main()
