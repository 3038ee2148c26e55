"""How fast is a batch job, from files to Parquet, what does it wait for, and does its memory grow?

    python -m benchmarks.batch [--data DIR] [--model mini-speech-commands] [--clips 64] [--json FILE]
    python -m benchmarks.batch --memory [--clips 20000]      resident memory along a job of a tiny model

DIR is a folder of recordings (default: the demo clips), taken again and again until there are enough. Each job runs in
a process of its own, on one core and on all, in turns; a rate is the median over the parts of a job but the first,
which is compiled. Reading, decoding and resampling alone are timed beside it.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from audex_jax.batch.job import Progress, run_job, run_of
from audex_jax.batch.manifest import Manifest, read_manifest
from audex_jax.batch.plan import Job
from audex_jax.batch.read import read_recordings
from audex_jax.batch.store import open_store
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.settings import Settings
from audex_jax.data.inputs import demo_clips
from audex_jax.data.listing import audio_files
from audex_jax.devices.cpu import use_each_core_as_a_device
from benchmarks.measure import parser_for, report, show
from benchmarks.sides import resident
from benchmarks.subject import explainer_of

QUICK = {"ranking": "weighted", "steps": 2}  # settings where the explanations do not matter


def listed(data: str | None, clips: int, folder: str) -> Manifest:
    """`clips` recordings, those of `data` again and again."""
    names = audio_files(data) if data else demo_clips()
    path = pathlib.Path(folder, "list.txt")
    path.write_text("".join(f"{names[i % len(names)].resolve()}\n" for i in range(clips)), encoding="utf-8")
    return read_manifest(path)


def job(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one job in this process, and watch it from part to part."""
    use_each_core_as_a_device()
    use_compilation_cache()
    seen: list[dict[str, float]] = []

    def watch(progress: Progress) -> None:
        if not seen or progress.shards_done > seen[-1]["parts"]:
            now = {"parts": progress.shards_done, "clips": progress.clips_done, "seconds": time.monotonic()}
            seen.append(now | {"MB": resident("VmRSS")})

    explainer = explainer_of(arguments.model)
    settings = Settings(**QUICK) if arguments.memory or arguments.small else Settings(ranking=arguments.ranking)
    how = Job(settings, shard_clips=arguments.shard_clips, batch=arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        manifest = listed(arguments.data, arguments.clips, folder)
        out = pathlib.Path(folder, "out")
        store = open_store(out, run_of(explainer, manifest, how), manifest, {})
        progress = run_job(explainer, manifest, store, how, report=watch)
        stored = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    ended = [point for point in seen if point["parts"]]
    rates = [(b["clips"] - a["clips"]) / (b["seconds"] - a["seconds"]) for a, b in itertools.pairwise(ended)]
    return {
        "clips/s": statistics.median(rates),
        "waited": progress.wait_share,
        "rejects": progress.rejects,
        "bytes a clip": stored / ended[-1]["clips"],
        "peak MB": resident("VmHWM"),
        "memory": [{"clips": point["clips"], "MB": round(point["MB"], 1)} for point in ended],
    }


def in_own_process(arguments: argparse.Namespace, cores: int) -> dict[str, Any]:
    """`job` in a process of its own that may use some cores."""
    given = {name: value for name, value in vars(arguments).items() if name not in ("json", "cores")}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value not in (None, True, False)]
    words += [f"--{name}" for name, value in given.items() if value is True]
    command = [sys.executable, "-m", "benchmarks.batch", *words, "--cores", str(cores)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def read_alone(arguments: argparse.Namespace) -> float:
    """Recordings a second that are read, decoded and resampled, with a thread for each core."""
    codec = explainer_of(arguments.model).model.codec
    with tempfile.TemporaryDirectory() as folder:
        paths = listed(arguments.data, max(arguments.clips, 200), folder).paths
        started = time.monotonic()
        threads = len(os.sched_getaffinity(0))
        found = sum(r.samples is not None for r in read_recordings(paths, codec.sample_rate, codec.channels, threads))
        return found / (time.monotonic() - started)


def throughput(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for one core and a row for all."""
    found: dict[int, list[dict]] = {cores: [] for cores in sorted({1, len(os.sched_getaffinity(0))})}
    for _ in range(arguments.repeats):
        for cores, jobs in found.items():
            jobs.append(in_own_process(arguments, cores))
    rows = []
    for cores, jobs in found.items():
        rates = [one["clips/s"] for one in jobs]
        row = {"cores": cores, "clips/s": statistics.median(rates), "least": min(rates), "most": max(rates)}
        rows.append(row | {name: jobs[-1][name] for name in ("waited", "peak MB", "bytes a clip", "rejects")})
    return rows


def growth(arguments: argparse.Namespace) -> dict[str, Any]:
    """Resident memory after the first twentieth of a job of a tiny model, and at its end."""
    arguments.model, arguments.shard_clips, arguments.batch = "tiny", max(1, arguments.clips // 80), 16
    points = in_own_process(arguments, len(os.sched_getaffinity(0)))["memory"]
    later = [point["MB"] for point in points if point["clips"] >= arguments.clips / 20]
    return {
        "clips": arguments.clips,
        "first MB": later[0],
        "last MB": later[-1],
        "most": max(later),
        "least": min(later),
    }


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("batch", __doc__)
    parser.set_defaults(repeats=3)
    parser.add_argument("--data", help="folder of recordings (default: the demo clips)")
    parser.add_argument("--model", default="mini-speech-commands", help="an explainer, or `tiny`")
    parser.add_argument("--ranking", default=Settings.ranking, help="what orders the elements")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--batch", type=int, default=8, help="clips that a device takes at once")
    parser.add_argument("--shard-clips", type=int, default=16, help="recordings in a part")
    parser.add_argument("--memory", action="store_true", help="ask for the memory only")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)  # of one job in this process
    arguments = parser.parse_args(argv)
    arguments.clips = arguments.clips or (20_000 if arguments.memory else 64)
    if arguments.small:
        arguments.model, arguments.clips, arguments.shard_clips = "tiny", 8, 2
    if arguments.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
        print(json.dumps(job(arguments)))
        return
    if arguments.memory:
        figures: dict[str, Any] = {"memory": growth(arguments)}
        show("resident memory of a job", [figures["memory"]])
    else:
        figures = {"rows": throughput(arguments), "read/s": read_alone(arguments)}
        show(f"{arguments.model}, default settings; {figures['read/s']:.0f} recordings/s are read", figures["rows"])
    report(arguments, figures)


if __name__ == "__main__":
    main()
