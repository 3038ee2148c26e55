"""How fast is a job, what holds it up, does its memory grow, and what would it take on other machines?

    python -m benchmarks.batch devices [--data DIR] [--model M] [--clips 64]   one device on one core, two on two
    python -m benchmarks.batch input [--data DIR] [--model M] [--clips 64]     the readers alone against the step
    python -m benchmarks.batch memory [--clips 20000]                          memory along a job of a tiny model
    python -m benchmarks.batch arithmetic [--model M]                          FLOPs, bytes and what they would allow
    python -m benchmarks.batch tables < LINES > benchmarks/BATCH.md            all of these for people

DIR is a folder of recordings (default: the demo clips), taken again and again until there are enough. The output is
JSON lines, but for that of `tables`. A rate is the median over the parts of a job but the first, which is compiled.
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
from collections.abc import Iterable, Sequence

# peak FLOP/s of the matrix units at the precision that `float32` arrays get there by default, and memory bytes/s, as
# the makers state them: TPU v5e and v5p multiply in bfloat16, the H100 (SXM) in TF32 without sparsity
MACHINES = {"TPU v5e": (197e12, 819e9), "TPU v5p": (459e12, 2765e9), "H100": (495e12, 3350e9)}
BOUNDS = ("at_most_clips_per_second", "device_days_for_a_million_hours")


def listed(data: str | None, clips: int, folder: pathlib.Path) -> pathlib.Path:
    """A list of `clips` recordings, those of `data` again and again."""
    from audex_jax.data.folder import audio_files
    from audex_jax.report.files import demo_clips

    names = audio_files(data) if data else demo_clips()
    path = folder / "list.txt"
    path.write_text("".join(f"{names[i % len(names)].resolve()}\n" for i in range(clips)))
    return path


def explainer_of(name: str):
    """A bundle, or for `tiny` random weights in the shape that the tests use."""
    if name != "tiny":
        from audex_jax.explain.explainer import load_explainer

        return load_explainer(name)
    import dataclasses

    import jax.numpy as jnp
    from flax import nnx

    from audex_jax.classifiers.transformer import LatentTransformer, TransformerConfig
    from audex_jax.codecs.encodec import Encodec
    from audex_jax.codecs.encodec.config import TINY
    from audex_jax.explain.explainer import Explainer
    from audex_jax.explain.step import Model

    codec = Encodec(dataclasses.replace(TINY, normalize=True), rngs=nnx.Rngs(0))
    config = TransformerConfig(dim=TINY.dim, classes=3, frames=100, width=8, layers=1, heads=2, feed_forward=16)
    weights = Model(codec, LatentTransformer(config, rngs=nnx.Rngs(1)), jnp.zeros(TINY.dim))
    return Explainer(weights, ("down", "left", "up"), 1.0, None)


def settings_of(arguments: argparse.Namespace):
    """How to explain: as by default, unless asked for otherwise."""
    from audex_jax.explain.step import Settings

    asked = {name: getattr(arguments, name) for name in ("ranking", "steps")}
    return Settings(**{name: value for name, value in asked.items() if value is not None})


def job(arguments: argparse.Namespace) -> dict:
    """Run one job in this process, and watch it from part to part."""
    import psutil

    from audex_jax.batch.job import run_job, run_of
    from audex_jax.batch.manifest import read_manifest
    from audex_jax.batch.plan import Job
    from audex_jax.batch.store import open_store
    from audex_jax.core.compilation import use_compilation_cache

    use_compilation_cache()
    process, seen = psutil.Process(), []

    def watch(progress) -> None:
        if not seen or progress.shards_done > seen[-1]["parts"]:
            seen.append(
                {
                    "parts": progress.shards_done,
                    "clips": progress.clips_done,
                    "seconds": time.monotonic(),
                    "megabytes": process.memory_info().rss / 1e6,
                }
            )

    explainer = explainer_of(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        manifest = read_manifest(listed(arguments.data, arguments.clips, pathlib.Path(folder)))
        how = Job(
            settings_of(arguments),
            shard_clips=arguments.shard_clips,
            batch=arguments.batch,
            parallel=arguments.parallel,
        )
        store = open_store(pathlib.Path(folder) / "out", run_of(explainer, manifest, how), manifest, {})
        progress = run_job(explainer, manifest, store, how, report=watch)
        stored = sum(path.stat().st_size for path in store.root.rglob("*.parquet"))
    ended, last = [s for s in seen if s["parts"]], seen[-1]
    steps = itertools.pairwise(ended)
    return {
        "clips": last["clips"],
        "clips_per_second": statistics.median(
            (b["clips"] - a["clips"]) / (b["seconds"] - a["seconds"]) for a, b in steps
        ),
        "devices_waited": progress.wait_share,
        "rejects": progress.rejects,
        "stored_bytes_per_clip": stored / last["clips"],
        "memory": [{"clips": s["clips"], "megabytes": round(s["megabytes"], 1)} for s in seen],
    }


def apart(arguments: argparse.Namespace, devices: int, cores: int, **changed) -> dict:
    """`job` in a process of its own with some devices on some cores."""
    options = {**vars(arguments), **changed, "question": "job"}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "question" and value]
    variables = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices)}
    pin = f"import os, runpy, sys; os.sched_setaffinity(0, range({cores})); sys.argv[0] = 'benchmarks.batch'; "
    code = pin + "runpy.run_module('benchmarks.batch', run_name='__main__')"
    command = [sys.executable, "-c", code, "job", *words]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {"devices": devices, "cores": cores} | {
        k: v for k, v in found.items() if k not in ("question", "environment")
    }


def devices(arguments: argparse.Namespace):
    """Throughput of one device on one core, and of two on two, in turns."""
    found: dict[tuple, list[float]] = {}
    for _ in range(arguments.repeats):
        for count, parallel in ((1, "auto"), (2, "pmap"), (2, "sharding")):
            result = apart(arguments, count, count, parallel=parallel)
            found.setdefault((count, parallel), []).append(result["clips_per_second"])
            result.pop("memory")
            yield {"parallel": parallel} | result
    median = {key: statistics.median(rates) for key, rates in found.items()}
    yield {
        "gain_of_two": {parallel: rate / median[1, "auto"] for (count, parallel), rate in median.items() if count > 1}
    }


def readers(arguments: argparse.Namespace):
    """Reading, decoding and resampling alone, on as many threads as cores, against a whole job."""
    from audex_jax.batch.manifest import read_manifest
    from audex_jax.batch.read import read_recordings

    config = explainer_of(arguments.model).weights.codec.config
    with tempfile.TemporaryDirectory() as folder:
        paths = read_manifest(listed(arguments.data, max(arguments.clips, 1000), pathlib.Path(folder))).paths
        started = time.monotonic()
        read = sum(r.samples is not None for r in read_recordings(paths, config.sample_rate, config.channels, 2))
        alone = read / (time.monotonic() - started)
    cores = os.cpu_count() or 1
    whole = apart(arguments, cores, cores)
    yield {
        "read_per_second": alone,
        "explained_per_second": whole["clips_per_second"],
        "readers_faster_by": alone / whole["clips_per_second"],
        "devices_waited": whole["devices_waited"],
    }


def memory(arguments: argparse.Namespace):
    """Resident memory from clip 1,000 to the last, with a tiny model, whose clips are many a second."""
    tiny = {"model": "tiny", "ranking": "weighted", "steps": 2}
    found = apart(arguments, 2, 2, clips=arguments.clips, batch=32, shard_clips=250, **tiny)
    later = [point["megabytes"] for point in found["memory"] if point["clips"] >= 1000]
    grown = {"first": later[0], "last": later[-1], "largest": max(later), "least": min(later)}
    yield {"clips": found["clips"], "clips_per_second": found["clips_per_second"], "megabytes": grown}


def arithmetic(arguments: argparse.Namespace):
    """What the explain step multiplies and moves, and the clips a second this would allow: a model, no measurement.

    Counted are matrix products and convolutions with all their inputs and outputs, loops as often as they run. All
    else is taken to be fused into them. No machine reaches both its peaks, and the recurrent layers run frame by frame,
    which is counted apart.
    """
    import dataclasses
    import functools

    import jax
    import numpy as np

    from audex_jax.explain.step import explain_step, latent_of
    from benchmarks.arithmetic import counted

    explainer, size = explainer_of(arguments.model), arguments.batch
    codec, classifier, _ = explainer.model
    audio = np.zeros((size, explainer.clip_samples, codec.config.channels), np.float32)
    lengths = np.full(size, explainer.clip_samples, np.int32)
    encode = functools.partial(latent_of, bandwidth=explainer.bandwidth)
    latent = jax.eval_shape(encode, codec, audio, lengths)
    valid = np.ones(latent.shape[:2], bool)
    stages = {
        "encode": jax.make_jaxpr(encode)(codec, audio, lengths),
        "classify": jax.make_jaxpr(lambda c, z, v: jax.vmap(c)(z, v))(classifier, latent, valid),
        "decode": jax.make_jaxpr(lambda c, z: c.decode(z))(codec, latent),
    }
    settings = settings_of(arguments)
    for ranking in dict.fromkeys(("weighted", settings.ranking)):
        chosen = dataclasses.replace(settings, ranking=ranking)
        whole = functools.partial(explain_step, settings=chosen, bandwidth=explainer.bandwidth)
        stages[f"whole step, {ranking}"] = jax.make_jaxpr(whole)(explainer.model, audio, lengths, lengths)
    hours = 1_000_000
    for name, program in stages.items():
        flops, moved, turns = counted(program.jaxpr)
        line = {
            "stage": name,
            "clips": size,
            "gigaflops_per_clip": flops / size / 1e9,
            "megabytes_per_clip": moved / size / 1e6,
            "flops_per_byte": flops / moved,
            "loop_turns": turns,
        }
        if name.startswith("whole"):
            for machine, (peak, bandwidth) in MACHINES.items():
                rate = size / max(flops / peak, moved / bandwidth)
                days = hours * 3600 / explainer.clip_seconds / rate / 86400
                line[machine] = dict(zip(BOUNDS, (rate, days), strict=True))
        yield line


def environment() -> dict:
    """Where a line was measured, and how busy the machine was when its question was asked."""
    import importlib.metadata

    packages = ("audex-jax", "jax", "flax", "numpy", "grain", "pyarrow")
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {"machine": "cpu", "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "versions": versions}


def tables(lines: list[dict], note: str) -> str:
    """The lines of all questions as Markdown."""
    of = {question: [line for line in lines if line["question"] == question] for question in QUESTIONS}
    text = ["# Batch\n\nWritten by `python -m benchmarks.batch tables` from its JSON lines."]
    where = lines[0]["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    loads = ", ".join(f"{question} {found[0]['environment']['load']}" for question, found in of.items() if found)
    text.append(f"{where['cores']} cores; {versions}. Load average before each question: {loads}. {note}".strip())
    if of["devices"]:
        *single, gain = of["devices"]
        text.append("## Devices")
        rows = [(f"{r['devices']} on {r['cores']}", r["parallel"], f"{r['clips_per_second']:.3g}") for r in single]
        text.append(markdown(("devices on cores", "way", "clips/s"), rows))
        gains = ", ".join(f"{way} {times:.2f}" for way, times in gain["gain_of_two"].items())
        text.append(f"Two on two against one on one, medians: {gains}.")
    text += [
        f"## Readers\n\n{line['read_per_second']:.0f} recordings/s read, decoded and resampled, "
        f"{line['explained_per_second']:.2f} explained: {line['readers_faster_by']:.0f} times as fast. "
        f"Devices waited {line['devices_waited']:.2%} of the time."
        for line in of["input"]
    ]
    for line in of["memory"]:
        sizes = ", ".join(f"{name} {size:.0f}" for name, size in line["megabytes"].items())
        text.append(f"## Memory\n\nFrom clip 1,000 to clip {line['clips']:,} of a tiny model, in MB: {sizes}.")
    if of["arithmetic"]:
        text.append("## Arithmetic: a model, not a measurement")
        text.append((arithmetic.__doc__ or "").split("\n\n")[1].replace("\n    ", "\n").strip())
        head = ("stage", "GFLOP a clip", "MB a clip", "FLOP a byte", "loop turns a batch")
        numbers = ("gigaflops_per_clip", "megabytes_per_clip", "flops_per_byte", "loop_turns")
        text.append(markdown(head, [[r["stage"], *(rounded(r[name]) for name in numbers)] for r in of["arithmetic"]]))
        head = ("stage", "device", "clips/s at most", "device days for 1 million hours at least")
        rows = [
            (r["stage"], name, *(rounded(r[name][bound]) for bound in BOUNDS))
            for r in of["arithmetic"]
            for name in MACHINES
            if name in r
        ]
        text.append(markdown(head, rows))
    return "\n\n".join(text) + "\n"


def rounded(number: float) -> str:
    """Three figures.

    >>> rounded(11662.4), rounded(3.5727)
    ('11,700', '3.57')
    """
    return f"{float(f'{number:.3g}'):,g}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


QUESTIONS = {"devices": devices, "input": readers, "memory": memory, "arithmetic": arithmetic, "job": job}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=(*QUESTIONS, "tables"))
    parser.add_argument("--data", help="folder of recordings (default: the demo clips)")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--ranking", help="default: that of audex explain")
    parser.add_argument("--steps", type=int, help="default: those of audex explain")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--shard-clips", type=int, default=16)
    parser.add_argument("--parallel", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--note", default="", help="what else there is to know, for `tables`")
    arguments = parser.parse_args()
    if arguments.question == "tables":
        print(tables([json.loads(line) for line in sys.stdin], arguments.note), end="")
        return
    arguments.clips = arguments.clips or (20_000 if arguments.question == "memory" else 64)
    where = environment()
    found = QUESTIONS[arguments.question](arguments)
    for line in [found] if isinstance(found, dict) else found:
        print(json.dumps({"question": arguments.question} | line | {"environment": where}), flush=True)


if __name__ == "__main__":
    main()
