"""`audex batch`: explain millions of recordings: every device, any number of processes, resumable."""

import argparse
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from audex_jax.io.files import json_text

if TYPE_CHECKING:
    from audex_jax.batch.job import Progress
    from audex_jax.batch.plan import Job

TEXT = """
DATA is one of
  a folder of recordings
  a file that lists them: text (a path a line), CSV or Parquet (a column `path`, optionally `id` and `label`); paths in
  it are relative to its folder
  .parquet with the recordings inside (a column of struct{bytes, path}, as Hugging Face datasets writes it), or .tar as
  WebDataset lays it out (x.wav, and its label in x.cls, x.json or x.txt); a file, or a folder of them
  tfds:NAME[/CONFIG][:SPLIT], a data set of TensorFlow Datasets prepared as ArrayRecord; see `audex prepare --help`
Each but the last, and DIR, may be an address in an object store: gs://BUCKET/..., s3://BUCKET/..., or another that
fsspec knows (pip install 'audex-jax[cloud]').

DIR then holds
  parts/*.parquet      one row for each segment of a recording: prediction, verdicts, top elements, and the explanation
                       as audio, for datasets.load_dataset("parquet", data_files="DIR/parts/*.parquet"), DuckDB, ...
  rejects/*.parquet    recordings that could not be explained, and why; only if there are any
  run.json             what made the results
  manifest.parquet     the list of recordings

The same command again goes on where it was, after a kill too. Several processes, each with its own devices:
  on Cloud TPU, SLURM, Kubernetes   --distributed in every process; JAX finds the others
  elsewhere                         --num-processes N --process-id I; add --coordinator HOST:PORT if JAX needs to know
Without --distributed and --coordinator the processes share nothing but DIR, and none can stop another.
On a Ray cluster (pip install 'audex-jax[ray]'): one process, --engine ray, with RAY_ADDRESS set; Ray has the work done
by one actor an accelerator, wherever there are nodes that see recordings, model and DIR under the same names.

examples:
  audex batch recordings/ --out explained
  audex batch clips.csv --model my-explainer --out explained --attribution --batch 32
  audex batch tfds:speech_commands:test --out explained
  audex batch gs://my-bucket/recordings --out gs://my-bucket/explained --distributed
  audex batch --status explained
  audex merge explained --out explained.parquet
"""
LOG_SECONDS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex batch` to its parser."""
    from audex_jax.batch.plan import Job
    from audex_jax.cli.options import add_model, add_options
    from audex_jax.cli.processes import add_processes
    from audex_jax.core.settings import Settings

    add = parser.add_argument
    parser.epilog = TEXT
    parser.usage = "audex batch DATA --out DIR [options]\n       audex batch --status DIR"
    add("data", nargs="?", metavar="DATA", help="folder or list of recordings; see below")
    add("--out", metavar="DIR", help="folder for the results; an unfinished job there is continued")
    add("--status", metavar="DIR", help="print the state of the job in DIR, and do nothing else")
    add_model(parser)
    add(
        "--max-reject-share",
        type=float,
        default=0.1,
        metavar="X",
        help="exit code 1 if a larger share of the recordings is rejected (default: 0.1)",
    )
    add("--json", action="store_true", help="print progress and results as JSON lines")
    add("--quiet", action="store_true", help="hide progress")
    add_options(parser, Settings, group="how to explain")
    add_options(parser, Job, group="what to write, and how to share the work")

    add_processes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex batch`; the exit code."""
    from audex_jax.batch.merge import status
    from audex_jax.batch.plan import Job
    from audex_jax.batch.store import load_store
    from audex_jax.cli import UsageError
    from audex_jax.cli.options import read_options
    from audex_jax.cli.processes import join
    from audex_jax.core.settings import Settings

    if arguments.status:
        counts = status(load_store(arguments.status))
        print(json_text(counts) if arguments.json else sentence(arguments.status, counts))
        return 0
    if not arguments.data or not arguments.out:
        raise UsageError("DATA and --out are needed; `audex batch --help` has examples")
    if not 0 <= arguments.max_reject_share <= 1:
        raise UsageError(f"--max-reject-share {arguments.max_reject_share:g}: it is a share, from 0 to 1")
    job = read_options(Job, arguments, settings=read_options(Settings, arguments))
    index, count = join(arguments)  # first of all: nothing may touch a device before
    if arguments.engine == "ray":
        from audex_jax.devices.mapping import leave_accelerators

        leave_accelerators()  # they are the actors'
    elif count == 1:
        from audex_jax.devices.cpu import use_each_core_as_a_device

        use_each_core_as_a_device()
    return work(arguments, job, index, count)


def work(arguments: argparse.Namespace, job: "Job", index: int, count: int) -> int:
    """Explain this process's share of a job, one of `count`; the exit code."""
    import importlib.metadata

    from audex_jax import __version__
    from audex_jax.adapters.source import Source
    from audex_jax.batch.job import run_job, run_of
    from audex_jax.batch.manifest import read_manifest, text
    from audex_jax.batch.merge import status
    from audex_jax.batch.store import open_store
    from audex_jax.bundles import bundle_path
    from audex_jax.cli.bundles import explainer_of, model_of, name_of
    from audex_jax.cli.processes import stop_signals
    from audex_jax.data.sources import beside
    from audex_jax.io.progress import COMPILING, Bar

    explainer = explainer_of(arguments)
    manifest = read_manifest(arguments.data)
    versions = {"audex-jax": __version__} | {name: importlib.metadata.version(name) for name in ("jax", "flax")}
    data = text(beside(os.getcwd(), arguments.data))
    about = {"model": name_of(arguments), "data": data, "versions": versions}
    store = open_store(arguments.out, run_of(explainer, manifest, job), manifest, about)
    share = sum(len(manifest.shard(shard, job.shard_clips)) for shard in range(index, store.shards, count))
    logged = 0.0
    with contextlib.ExitStack() as stack:
        if arguments.engine == "ray":
            from audex_jax.integrations.ray import connected, run_on_ray

            stack.enter_context(connected())
        bar = stack.enter_context(Bar("explaining", share, arguments.quiet or arguments.json, COMPILING))
        stopped = stack.enter_context(stop_signals())

        def check() -> None:
            if stopped:
                raise KeyboardInterrupt

        def report(progress: "Progress") -> None:
            nonlocal logged
            if arguments.json and not arguments.quiet and time.monotonic() - logged > LOG_SECONDS:
                logged = time.monotonic()
                print(json_text({"time": time.time(), "process": index} | progress.record()), flush=True)
            bar.update(progress.clips_done, note(progress) if progress.clips_done < progress.clips else "")

        try:
            if arguments.engine == "ray":
                model = model_of(arguments)
                model = model if isinstance(model, Source) else os.path.abspath(bundle_path(model))
                progress = run_on_ray(model, manifest, store, job, arguments.actors, report, check)
            else:
                progress = run_job(explainer, manifest, store, job, index, count, report, check)
        except KeyboardInterrupt:
            progress = None
    if progress is None:
        said = sentence(arguments.out, status(store))
        print(f"audex batch: stopped; {said}; the same command goes on", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # a step that is under way on a device cannot be stopped, and is not waited for
    return finish(arguments, progress.record(), status(store), index)


def note(progress: "Progress") -> str:
    """How fast, behind the bar."""
    text = f"{progress.rate:.1f} clips/s"
    if progress.wait_share is not None:
        text += f", devices waited {progress.wait_share:.1%}"
    return text + (f", {progress.rejects} rejected" if progress.rejects else "")


def sentence(out: str, counts: dict[str, Any]) -> str:
    """The state of a job in one line."""
    text = f"{out}: {counts['clips_done']} of {counts['clips']} recordings done"
    text += f" ({counts['shards_done']} of {counts['shards']} parts, {counts['rows']} rows)"
    return text + (f", {counts['rejects']} rejected" if counts["rejects"] else "")


def finish(arguments: argparse.Namespace, progress: dict[str, Any], counts: dict[str, Any], index: int) -> int:
    """Say what came out; the exit code."""
    if arguments.json:
        print(json_text({"time": time.time(), "process": index} | progress | {"job": counts}), flush=True)
    else:
        waited = "" if progress["wait_share"] is None else f", devices waited {progress['wait_share']:.1%} of the time"
        print(f"{sentence(arguments.out, counts)}; {progress['clips_per_second']:.1f} recordings/s{waited}")
    if progress["rejects"] > arguments.max_reject_share * progress["clips"]:
        print(
            f"audex batch: {progress['rejects']} of {progress['clips']} recordings rejected, more than "
            f"{arguments.max_reject_share:.0%}; {arguments.out}/rejects says why, --retry-rejects tries them again",
            file=sys.stderr,
        )
        return 1
    return 0
