"""How long does a whole explanation take, and how much memory, against PyTorch with Captum and an older revision?

    python -m benchmarks.pipeline [--subject published] [--clips 32] [--jobs same,equal,default] [--json FILE]
    python -m benchmarks.pipeline --against DIR      DIR: a checkout of another revision, measured in the same run
    python -m benchmarks.pipeline --no-torch         without PyTorch

The job: encode, classify, Integrated Gradients, keep and remove a fifth, decode the whole, the kept and the removed
part, encode and classify these three again. All sides have the same weights, clips and cores; each runs in a process of
its own, in the setup (batch and so on) that is its fastest here, and they take turns. No speed is printed unless the
results agree.

    same      all sides with Captum's default, 50 points of Gauss-Legendre
    equal     ours with as few points as rank as well as Captum's 50 do; see `benchmarks.attribution.points_needed`
    bfloat16  ours with the products of the path's gradients in bfloat16, 50 points
    default   default settings, whose ranking optimises a mask; PyTorch has nothing like it

Memory is what is resident at most in a fresh process, which reads compiled programs from the cache.
"""

import argparse
import contextlib
import functools
import itertools
import json
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from audex_jax.bundles import save_explainer
from audex_jax.explain.explainer import Explainer
from benchmarks import measure
from benchmarks.attribution import points_needed
from benchmarks.sides import HERE, ROWS, TOGETHER, Side, sizes_to_try
from benchmarks.subject import SUBJECTS, clips_of, explainer_of, export

JOBS = ("same", "equal", "bfloat16", "default")
POINTS = 50  # Captum's default
SAME = {"ranking": "weighted", "rule": "gauss-legendre", "steps": POINTS}  # settings with which ours does PyTorch's job
CHUNKS = (2, 5, 8)  # points at a time of each clip, to try
TOLERANCES = {"probabilities": 1e-3, "reconstruction": 1e-3, "attribution": 1e-3}


class Contestant(NamedTuple):
    """Who takes part.

    Attributes:
        name: as it is shown.
        kind, checkout: of its `Side`.
        jobs: those of `JOBS` that it can do.
    """

    name: str
    kind: str
    checkout: pathlib.Path
    jobs: tuple[str, ...]


class Result(NamedTuple):
    """How a contestant did a job.

    Attributes:
        setup: its fastest.
        first: seconds of the first run in it, which compiles.
        arrays: what it found.
        memory: MB.
    """

    setup: dict[str, Any]
    first: float
    arrays: dict[str, np.ndarray]
    memory: float


def contestants_of(arguments: argparse.Namespace) -> list[Contestant]:
    """Ours first."""
    found = [Contestant("ours", "audex", HERE.parents[1], JOBS)]
    if not arguments.no_torch:
        found.append(Contestant("PyTorch", "torch", HERE.parents[1], ("same", "equal", "bfloat16")))
    if arguments.against:
        other = pathlib.Path(arguments.against).resolve()
        found.append(Contestant(measure.revision(other) or other.name, "audex", other, ("same", "default")))
    return found


def prepare(contestant: Contestant, folder: pathlib.Path, explainer: Explainer, clips: np.ndarray) -> None:
    """Write model and clips for a `Side`; revisions before codec families have bundles without these."""
    folder.mkdir()
    np.save(folder / "clips.npy", clips)
    if contestant.kind == "torch":
        return export(explainer.model, folder)
    save_explainer(folder / "model", explainer, {})
    if not (contestant.checkout / "audex_jax" / "core" / "registry.py").exists():
        path = folder / "model" / "bundle.json"
        description = json.loads(path.read_text(encoding="utf-8"))
        for module in ("codec", "classifier"):
            del description[module]["family"]
        path.write_text(json.dumps(description), encoding="utf-8")


def setups_of(
    contestant: Contestant, settings: Mapping[str, Any], arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Setups to try for one job."""
    batches = sorted({min(int(batch), arguments.clips) for batch in arguments.batches.split(",")})
    if contestant.kind == "audex":
        chunks = CHUNKS[:1] if arguments.small else CHUNKS
        for batch, chunk in itertools.product(batches, chunks):
            yield {"batch": batch, "settings": {**settings, "chunk": chunk}}
        return
    for batch in batches:
        rows = sizes_to_try(ROWS, arguments.seconds, POINTS * batch)
        together = sizes_to_try(TOGETHER, arguments.seconds, batch)
        for few, clips, compiled in itertools.product(rows, together, sorted({False, arguments.compile})):
            yield {"batch": batch, "points": POINTS, "rows": few, "together": clips, "compiled": compiled}


def compete(contestant: Contestant, side: Side, folder: pathlib.Path, setups: Iterable[dict[str, Any]]) -> Result:
    """Find the fastest setup of a contestant, and what comes of it."""
    known = {json.dumps(setup): setup for setup in setups}
    best, first = measure.fastest({name: functools.partial(side.run, setup) for name, setup in known.items()})
    side.run(known[best], str(folder / "results.npz"))
    with Side(contestant.kind, folder, contestant.checkout) as fresh:
        fresh.ask(setup=known[best])
        memory = fresh.ask(memory="")
    with np.load(folder / "results.npz") as arrays:
        return Result(known[best], first, dict(arrays), memory)


def compare(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], same_path: bool) -> dict[str, float]:
    """Differences of results; attributions and masks must agree only where both took the same points.

    Raises:
        Disagreement: they are not the same.
    """
    names = [name for name in TOLERANCES if same_path or name != "attribution"]
    errors = {name: measure.must_agree(name, ours[name], theirs[name], TOLERANCES[name]) for name in names}
    kept = float((ours["mask"] & theirs["mask"]).sum() / theirs["mask"].sum())
    if same_path and kept < 0.999:
        raise measure.Disagreement(f"ours keeps {kept:.4f} of what the other side keeps: no speeds")
    return errors | {"kept alike": kept}


def rows_of(
    job: str, results: Mapping[str, Result], found: Mapping[str, measure.Timing], clips: int, errors: Mapping[str, dict]
) -> Iterator[dict[str, Any]]:
    """One row for each rival, or for ours alone."""
    ours, own = results["ours"], found["ours"]
    for name in [name for name in results if name != "ours"] or [None]:
        row = {"job": job, "ms a clip": 1e3 * own.median / clips, "MB": ours.memory, "against": name}
        if name:
            theirs = results[name]
            row |= {
                "its ms a clip": 1e3 * found[name].median / clips,
                "x faster": measure.times_faster(own, found[name]),
                "its MB": theirs.memory,
                "MB ratio": ours.memory / theirs.memory,
                "error": max(value for what, value in errors[name].items() if what != "kept alike"),
                "kept alike": errors[name]["kept alike"],
            }
        yield row


def main(argv: list[str] | None = None) -> None:
    parser = measure.parser_for("pipeline", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each clip")
    parser.add_argument("--batches", default="2,8,32", help="clips at a time, to try")
    parser.add_argument("--jobs", default="same,equal,default", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--against", metavar="DIR", help="a checkout of another revision")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too; takes minutes")
    arguments = parser.parse_args(argv)
    if arguments.small:
        arguments.subject, arguments.clips, arguments.batches, arguments.seconds = "tiny", 4, "4", 0.5
    explainer = explainer_of(arguments.subject, arguments.seconds)
    clips = clips_of(explainer, arguments.clips)
    settings: dict[str, dict[str, Any]] = {"same": SAME, "bfloat16": SAME | {"precision": "bfloat16"}, "default": {}}
    if "equal" in arguments.jobs:
        settings["equal"] = {"ranking": "weighted", **points_needed(explainer, clips)}
    figures: dict[str, Any] = {"subject": arguments.subject, "clips": len(clips), "seconds": arguments.seconds}
    rows: list[dict[str, Any]] = []
    contestants = contestants_of(arguments)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folders = {one.name: pathlib.Path(temporary, str(number)) for number, one in enumerate(contestants)}
        sides: dict[str, Side] = {}
        for one in contestants:
            prepare(one, folders[one.name], explainer, clips)
            sides[one.name] = stack.enter_context(Side(one.kind, folders[one.name], one.checkout))
        for job in arguments.jobs.split(","):
            results = {
                one.name: compete(one, sides[one.name], folders[one.name], setups_of(one, settings[job], arguments))
                for one in contestants
                if job in one.jobs
            }
            errors = {
                name: compare(results["ours"].arrays, result.arrays, job in ("same", "default"))
                for name, result in results.items()
            }
            runs = {name: functools.partial(sides[name].run, result.setup) for name, result in results.items()}
            found = measure.in_turns(runs, arguments.repeats)
            rows += rows_of(job, results, found, len(clips), errors)
            figures[job] = {
                name: {"setup": result.setup, "first run, s": result.first, "MB": result.memory}
                | {"seconds": found[name].record(), "errors": errors[name]}
                for name, result in results.items()
            }
            measure.show(f"{len(clips)} clips of {arguments.seconds:g} s, {arguments.subject}", rows)
            measure.report(arguments, {**figures, "rows": rows})


if __name__ == "__main__":
    main()
