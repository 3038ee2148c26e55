"""How fast is a program on a TPU or a GPU, as their own compilers expect, and where do its cycles go?

    python -m benchmarks.accelerators [--chip v5e|v5p|v6e|h100] [--subject published] [--json FILE]
    python -m benchmarks.accelerators --against DIR      DIR: a checkout of another revision, compiled in the same run

No device is needed: the compilers come with the extras `tpu` and `cuda-compiler`. All figures are expected by the
compiler, not measured. Of a TPU: cycles, also by source line, the share of the matrix units' peak, copies and padding,
memory, what follows for clips a second, and how many sorts, gathers and scatters are in none of these figures, since
the compiler expects no cycles of them ("unpriced"). Of a GPU, whose compiler tells no times: kernels, library calls,
memory. Each program is compiled in a process of its own, whole steps in minutes.

    encode, decode, classify   the models alone
    path, optimise             gradients along the path; the default ranking, which optimises a mask
    sound                      an explanation by the mask network that nobody judges
    amortised, weighted        whole steps, by the mask network and by attributions
    default                    the whole step with the default ranking
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from audex_jax.core.settings import PRECISIONS
from benchmarks.measure import parser_for, report, revision, show
from benchmarks.subject import SUBJECTS

HERE = pathlib.Path(__file__).resolve()
PROGRAMS = ("encode", "decode", "classify", "path", "optimise", "sound", "amortised", "weighted", "default")
CLIPS = 3600 * 1_000_000  # of a second, in a million hours
SLICE = 256  # chips


class Chip(NamedTuple):
    """Clock in Hz, floating-point operations a cycle of all matrix units at most, memory in bytes."""

    clock: float
    operations: int
    memory: float


CHIPS = {
    "v5e": Chip(1.5e9, 4 * 128 * 128 * 2, 16e9),  # 197 TFLOP/s in bfloat16
    "v5p": Chip(1.75e9, 8 * 128 * 128 * 2, 95e9),  # 459
    "v6e": Chip(1.75e9, 4 * 256 * 256 * 2, 32e9),  # 918
    "h100": Chip(0, 0, 80e9),
}


def compiled(checkout: pathlib.Path, *words: str) -> dict[str, Any]:
    """What the compiler says of one program of a checkout; `compiling` says of which. Empty where it has no such.

    Raises:
        SystemExit: it does not compile, or the compiler is not installed.
    """
    command = [sys.executable, "-P", str(HERE.with_name("compiling.py")), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(checkout)})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SystemExit(f"{' '.join(words)} of {checkout} does not compile: {last[:500]}")
    return json.loads(done.stdout.splitlines()[-1])


def row_of(found: Mapping[str, Any], chip: Chip, batch: int) -> dict[str, Any]:
    """What a table shows of one program."""
    used = found["arguments"] + found["results"] + found["temporaries"]
    memory = {"arguments, MB": found["arguments"] / 1e6, "temporaries, MB": found["temporaries"] / 1e6}
    fits = {"clips that fit": int(batch * chip.memory / used)}  # as many times as this batch fits
    if not chip.clock:
        kinds = ("fusions", "products", "convolutions", "transposes", "copies", "collectives", "transfers")
        return {**{kind: found.get(kind, 0) for kind in kinds}, **memory, **fits}
    rate = batch * chip.clock / found["cycles"]
    return {
        "Mcycles": found["cycles"] / 1e6,
        "of peak": found["flops"] / chip.operations / found["cycles"],
        "moves": found["moves"] / found["cycles"],
        "unpriced": found["unpriced"],
        **memory,
        **fits,
        "clips/s": rate,
        f"days on {SLICE} for 1 M hours": CLIPS / rate / SLICE / 86400,
        "collectives": found["collectives"],
        "transfers": found["transfers"],
    }


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("accelerators", __doc__, timed=False)
    parser.add_argument("--chip", choices=CHIPS, default="v5e")
    parser.add_argument("--subject", choices=SUBJECTS, default="bundled")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="comma-separated; the default is all")
    parser.add_argument("--batches", default="32", help="clips of a second at a time, comma-separated")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--against", metavar="DIR", help="a checkout of another revision")
    arguments = parser.parse_args(argv)
    if arguments.small:
        arguments.subject, arguments.programs, arguments.batches = "tiny", "encode,classify", "2"
    compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Compile and print one program after another."""
    checkouts = {"ours": HERE.parents[1]}
    if arguments.against:
        other = pathlib.Path(arguments.against).resolve()
        checkouts[revision(other) or other.name] = other
    chip, rows, figures = CHIPS[arguments.chip], [], []
    title = f"{arguments.subject} on {arguments.chip}, {arguments.precision}: expected by the compiler, not measured"
    for batch in arguments.batches.split(","):
        for program in arguments.programs.split(","):
            for name, checkout in checkouts.items():
                words = (arguments.chip, arguments.subject, program, batch, arguments.precision)
                found = compiled(checkout, *words)
                if not found:
                    continue
                what = {"program": program, "clips": int(batch), "revision": name}
                figures.append(what | found)
                rows.append(what | row_of(found, chip, int(batch)))
                show(title, rows)
                if "dearest" in found:
                    dearest = found["dearest"].items()
                    show(f"dearest of {program}", [{"Mcycles": n / 1e6, "source line": line} for line, n in dearest])
    report(arguments, {"chip": arguments.chip, "subject": arguments.subject, "rows": rows, "programs": figures})


if __name__ == "__main__":
    main()
