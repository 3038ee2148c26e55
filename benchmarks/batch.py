"""How fast is a job, what holds it up, does its memory grow, and what would it take on other machines?

    python -m benchmarks.batch devices [--data DIR] [--model M] [--clips 64]   one device on one core, two on two
    python -m benchmarks.batch input [--data DIR] [--model M] [--clips 64]     the readers alone against the step
    python -m benchmarks.batch memory [--clips 20000]                          memory along a job of a tiny model
    python -m benchmarks.batch arithmetic [--model M]                          FLOPs, bytes and what they would allow

DIR is a folder of recordings (default: the demo clips), taken again and again until there are enough. Each line of the
output is JSON. Rates count from the first finished part of a job to its last, so that compilation is left out.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# peak FLOP/s of the matrix units at the precision that `float32` arrays get there by default, and memory bytes/s, as
# the makers state them: TPU v5e and v5p multiply in bfloat16, the H100 (SXM) in TF32 without sparsity
MACHINES = {"TPU v5e": (197e12, 819e9), "TPU v5p": (459e12, 2765e9), "H100": (495e12, 3350e9)}


def listed(data: str | None, clips: int, folder: pathlib.Path) -> pathlib.Path:
    """A list of `clips` recordings, those of `data` again and again."""
    from audex_jax.data.folder import audio_files
    from audex_jax.explain_files import demo_clips

    names = audio_files(data) if data else demo_clips()
    path = folder / "list.txt"
    path.write_text("".join(f"{names[i % len(names)].resolve()}\n" for i in range(clips)))
    return path


def explainer_of(name: str):
    """A bundle, or for `tiny` random weights in the shape that the tests use."""
    if name != "tiny":
        from audex_jax.explainer import load_explainer

        return load_explainer(name)
    import dataclasses

    import jax.numpy as jnp
    from flax import nnx

    from audex_jax.classifier import ClassifierConfig, LatentClassifier
    from audex_jax.codec import Encodec
    from audex_jax.codec.config import TINY
    from audex_jax.explainer import Explainer
    from audex_jax.pipeline import Weights

    codec = Encodec(dataclasses.replace(TINY, normalize=True), rngs=nnx.Rngs(0))
    config = ClassifierConfig(dim=TINY.dim, classes=3, frames=100, width=8, layers=1, heads=2, feed_forward=16)
    weights = Weights(codec, LatentClassifier(config, rngs=nnx.Rngs(1)), jnp.zeros(TINY.dim))
    return Explainer(weights, ("down", "left", "up"), 1.0, None)


def job(arguments: argparse.Namespace) -> dict:
    """Run one job in this process, and watch it from part to part."""
    import psutil

    from audex_jax.batch.job import Job, run_job, run_of
    from audex_jax.batch.manifest import read_manifest
    from audex_jax.batch.store import open_store
    from audex_jax.compilation import use_compilation_cache
    from audex_jax.pipeline import Settings

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
            Settings(steps=arguments.steps),
            shard_clips=arguments.shard_clips,
            batch=arguments.batch,
            parallel=arguments.parallel,
        )
        store = open_store(pathlib.Path(folder) / "out", run_of(explainer, manifest, how), manifest, {})
        progress = run_job(explainer, manifest, store, how, report=watch)
        stored = sum(path.stat().st_size for path in store.root.rglob("*.parquet"))
    first, last = next(s for s in seen if s["parts"] == 1), seen[-1]
    return {
        "clips": last["clips"],
        "clips_per_second": (last["clips"] - first["clips"]) / (last["seconds"] - first["seconds"]),
        "devices_waited": progress.wait_share,
        "rejects": progress.rejects,
        "stored_bytes_per_clip": stored / last["clips"],
        "memory": [{"clips": s["clips"], "megabytes": round(s["megabytes"], 1)} for s in seen],
    }


def apart(arguments: argparse.Namespace, devices: int, cores: int, **changed) -> dict:
    """`job` in a process of its own with some devices on some cores."""
    options = {**vars(arguments), **changed, "question": "job"}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "question" and value]
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": str(devices),
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",  # a device is a core
    }
    pin = f"import os, runpy, sys; os.sched_setaffinity(0, range({cores})); sys.argv[0] = 'benchmarks.batch'; "
    code = pin + "runpy.run_module('benchmarks.batch', run_name='__main__')"
    command = [sys.executable, "-c", code, "job", *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {"devices": devices, "cores": cores} | json.loads(done.stdout.splitlines()[-1])


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
    found = apart(arguments, 2, 2, model="tiny", clips=arguments.clips, steps=2, batch=32, shard_clips=250)
    later = [point["megabytes"] for point in found["memory"] if point["clips"] >= 1000]
    grown = {"first": later[0], "last": later[-1], "largest": max(later), "least": min(later)}
    yield {"clips": found["clips"], "clips_per_second": found["clips_per_second"], "megabytes": grown}


def arithmetic(arguments: argparse.Namespace):
    """What the explain step multiplies and moves, and the clips a second this would allow: a model, no measurement.

    Counted are matrix products and convolutions with all their inputs and outputs, loops as often as they run. All
    else is taken to be fused into them. No machine reaches both its peaks, and the recurrent layers run frame by frame,
    which is counted apart.
    """
    import functools

    import jax
    import numpy as np

    from audex_jax.pipeline import Settings, explain_step, latent_of
    from benchmarks.arithmetic import counted

    explainer, settings, size = explainer_of(arguments.model), Settings(steps=arguments.steps), arguments.batch
    codec, classifier, _ = explainer.weights
    audio = np.zeros((size, explainer.clip_samples, codec.config.channels), np.float32)
    lengths = np.full(size, explainer.clip_samples, np.int32)
    encode = functools.partial(latent_of, bandwidth=explainer.bandwidth)
    latent = jax.eval_shape(encode, codec, audio, lengths)
    valid = np.ones(latent.shape[:2], bool)
    whole = functools.partial(explain_step, settings=settings, bandwidth=explainer.bandwidth)
    stages = {
        "encode": jax.make_jaxpr(encode)(codec, audio, lengths),
        "classify": jax.make_jaxpr(lambda c, z, v: jax.vmap(c)(z, v))(classifier, latent, valid),
        "decode": jax.make_jaxpr(lambda c, z: c.decode(z))(codec, latent),
        "whole step": jax.make_jaxpr(whole)(explainer.weights, audio, lengths, lengths),
    }
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
        if name == "whole step":
            for machine, (peak, bandwidth) in MACHINES.items():
                rate = size / max(flops / peak, moved / bandwidth)
                days = hours * 3600 / explainer.clip_seconds / rate / 86400
                line[machine] = {"at_most_clips_per_second": rate, "device_days_for_a_million_hours": days}
        yield line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    questions = {"devices": devices, "input": readers, "memory": memory, "arithmetic": arithmetic, "job": job}
    parser.add_argument("question", choices=questions)
    parser.add_argument("--data", help="folder of recordings (default: the demo clips)")
    parser.add_argument("--model", default="mini-speech-commands")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--shard-clips", type=int, default=16)
    parser.add_argument("--parallel", default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    arguments.clips = arguments.clips or (20_000 if arguments.question == "memory" else 64)
    found = questions[arguments.question](arguments)
    for line in [found] if isinstance(found, dict) else found:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
