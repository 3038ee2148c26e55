"""Jobs on a Ray cluster: Ray Data spreads shards or recordings over actors, one an accelerator (extra `ray`).

Which actor does what, tries again what died with an actor, and shows how it goes: that is all Ray's.
"""

import contextlib
import dataclasses
import logging
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pyarrow as pa

from audex_jax.adapters.open import open_explainer
from audex_jax.adapters.source import Source
from audex_jax.batch.job import Progress, Tables, explain_shards, survey
from audex_jax.batch.manifest import Manifest, text
from audex_jax.batch.plan import Job
from audex_jax.batch.store import Store
from audex_jax.batch.stream import Meter, ahead, on_devices
from audex_jax.core.compilation import use_compilation_cache
from audex_jax.core.errors import AudexError


class ExplainActor:
    """Explains the recordings that a Ray dataset lists; for `map_batches`, one actor an accelerator.

    A batch has a column `path`, and `id` and `label` if you like. What comes out are the rows of
    `batch.schema.result_schema`, one a segment, with a column `reason` more. It is null, but in the single row of a
    recording that could not be explained; there all is null but `id`, `path`, `label` and `reason`.

        import ray.data
        from audex_jax.integrations.ray import ExplainActor

        clips = ray.data.read_parquet("clips.parquet")
        pool = ray.data.ActorPoolStrategy(size=4)
        arguments = {"fn_constructor_args": ["mini-speech-commands"], "batch_size": 256, "num_gpus": 1}
        rows = clips.map_batches(ExplainActor, compute=pool, **arguments)
        rows.write_parquet("explained")

    Args:
        model: name of a bundled explainer, a folder that all nodes see, as they see the recordings, or a `Source`.
        job: how to explain, and which columns to write; shards do not matter here.
    """

    def __init__(self, model: str | Source, job: Job | None = None):
        use_compilation_cache()
        self.explainer, self.job, self.meter = open_explainer(model), job or Job(), Meter()
        self.explainer.target_index(self.job.target)
        self.mapped = on_devices(self.explainer, self.job.settings, self.job.parallel)

    def __call__(self, batch: pa.Table | dict[str, Any]) -> pa.Table:
        """Explain the recordings of a batch.

        Raises:
            AudexError: the batch has no column `path`.
        """
        table: Any = batch if isinstance(batch, pa.Table) else pa.table(dict(batch))
        if "path" not in table.column_names:
            raise AudexError(f"a batch has no column `path`; it has {', '.join(table.column_names)}")
        columns = {name: tuple(table[name].to_pylist()) for name in table.column_names if name in ("id", "label")}
        paths = tuple(os.fsdecode(path) for path in table["path"].to_pylist())
        ids = columns.get("id") or map(text, paths)
        found = self.explain(Manifest(tuple(map(str, ids)), paths, columns.get("label") or (None,) * len(paths)))
        explained = found.results.append_column("reason", pa.nulls(len(found.results), pa.string()))
        return pa.concat_tables([explained, found.rejects.replace_schema_metadata()], promote_options="default")

    def explain(self, clips: Manifest) -> Tables:
        """Explain a list of recordings on this process's devices."""
        whole = dataclasses.replace(self.job, shard_clips=max(len(clips), 1))
        found = explain_shards(self.explainer, self.mapped, clips, whole, [0], self.meter)
        (tables,) = (one for one in found if isinstance(one, Tables))
        return tables


class ShardActor:
    """Explains shards of a job, and puts each into the folder of results itself."""

    def __init__(self, model: str | Source, job: Job, store: Store):
        self.actor, self.store = ExplainActor(model, job), store

    def __call__(self, batch: pa.Table) -> dict[str, list]:
        """Do the shards of a batch; says how it went."""
        done: dict[str, list] = {"clips": [], "rejects": [], "waited": []}
        for shard in batch.to_pylist():
            paths = tuple(map(os.fsdecode, shard["paths"]))
            found = self.actor.explain(Manifest(tuple(shard["ids"]), paths, tuple(shard["labels"])))
            self.store.commit(shard["shard"], found.clips, found.results, found.rejects)
            done["clips"].append(found.clips)
            done["rejects"].append(len(found.rejects))
            done["waited"].append(self.actor.meter.wait_share)
        return done


def run_on_ray(
    model: str | Source,
    manifest: Manifest,
    store: Store,
    job: Job,
    actors: int = 0,
    report: Callable[[Progress], None] = lambda progress: None,
    check: Callable[[], None] = lambda: None,
) -> Progress:
    """`run_job` on the Ray cluster that this process is connected to, all shards that are not done.

    Args:
        model: name of a bundled explainer, a folder that all nodes see, as they see recordings and results, or the
            `Source` of a classifier.
        manifest, store, job, report, check: as in `run_job`.
        actors: how many; 0 for one an accelerator of the cluster, or one a core where it has none.
    """
    import ray.data

    with store.held(0, 1):
        progress, todo = survey(manifest, store, job)
        report(progress)
        started, waited = time.monotonic(), []
        if todo:
            count, needs = accelerators()
            pool = ray.data.ActorPoolStrategy(size=actors or min(count, len(todo)))
            shards = ray.data.from_arrow([shard_table(manifest, shard, job.shard_clips) for shard in todo])
            done = shards.map_batches(
                ShardActor,
                fn_constructor_args=[model, job, store],
                compute=pool,
                batch_size=1,
                batch_format="pyarrow",
                **needs,
            )
            with contextlib.closing(ahead(_rows(done), check)) as rows:
                for row in rows:
                    waited += [] if row["waited"] is None else [row["waited"]]
                    progress.rejects += row["rejects"]
                    progress.shards_done += 1
                    share = sum(waited) / len(waited) if waited else None
                    progress.advance(row["clips"], time.monotonic() - started, share)
                    report(progress)
        store.sweep()
    return progress


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """Be connected to the cluster at `$RAY_ADDRESS`, or to one on this machine alone that is started for the purpose.

    Raises:
        AudexError: Ray is not installed, or cannot be reached.
    """
    try:
        import ray  # pyright takes this very module for it where Ray is not installed
        import ray.data
    except ImportError:
        raise AudexError("--engine ray needs Ray: pip install 'audex-jax[ray]'") from None
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, ignore_reinit_error=True)  # pyright: ignore
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise AudexError(f"cannot start or reach Ray ({error})") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # its log files have it all
    try:
        yield
    finally:
        ray.shutdown()  # pyright: ignore


def accelerators() -> tuple[int, dict]:
    """How many actors the cluster has room for, and what Ray has to give each of them."""
    import ray

    total = ray.cluster_resources()  # pyright: ignore
    if total.get("GPU"):
        return int(total["GPU"]), {"num_gpus": 1}
    if total.get("TPU"):
        return int(total["TPU"]), {"resources": {"TPU": 1}}
    return max(int(total.get("CPU", 1)), 1), {"num_cpus": 1}


def shard_table(manifest: Manifest, shard: int, clips: int) -> pa.Table:
    """One row: a shard with its recordings. A block of its own, so that it is done, or done again, by itself."""
    part = manifest.shard(shard, clips)
    mine = slice(part.start, part.stop)
    columns = {
        "shard": pa.array([shard]),
        "ids": pa.array([manifest.ids[mine]], pa.list_(pa.string())),
        "paths": pa.array([[os.fsencode(path) for path in manifest.paths[mine]]], pa.list_(pa.binary())),
        "labels": pa.array([manifest.labels[mine]], pa.list_(pa.string())),
    }
    return pa.table(columns)


def _rows(dataset: Any) -> Generator[dict, None, None]:
    """What the actors say, as it comes in."""
    import ray.exceptions

    try:
        yield from dataset.iter_rows()
    except ray.exceptions.RayError as error:  # it holds what an actor raised as text
        found = re.findall(r"^audex_jax\.[\w.]*Error: (.+)$", str(error), re.MULTILINE)
        if not found:
            raise
        raise AudexError(found[-1]) from error
