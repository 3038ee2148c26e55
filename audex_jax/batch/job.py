"""The job: every shard of this process that is not done yet is read, explained and stored.

Nothing is claimed and nothing is remembered but the parts themselves, so that a job which was killed at any instant is
finished by giving the same command again, by the same or another number of processes.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import pyarrow as pa

from audex_jax import bundles
from audex_jax.batch.manifest import Manifest, text
from audex_jax.batch.plan import Job
from audex_jax.batch.read import read_recordings
from audex_jax.batch.rows import row_of, table_of
from audex_jax.batch.schema import REJECTS, result_schema
from audex_jax.batch.store import Store
from audex_jax.batch.stream import Clip, Mark, Meter, explain_stream, on_devices
from audex_jax.core.errors import AudexError, ModelError
from audex_jax.devices.mapping import Mapped
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.result import Explanation
from audex_jax.io.audio import digest_of


def run_of(explainer: Explainer, manifest: Manifest, job: Job) -> dict:
    """What decides the results: equal runs may finish each other's work. Devices, batches and threads do not."""
    return {
        "settings": dataclasses.asdict(explainer.suited(job.settings)),
        "target": job.target,
        "control": job.control,
        "shard_clips": job.shard_clips,
        "columns": {"elements": job.elements, "attribution": job.attribution, "audio": job.audio},
        "labels": list(explainer.labels),
        "sample_rate": explainer.sample_rate,
        "clip_seconds": explainer.clip_seconds,
        "weights": bundles.digest(explainer),
        "manifest": {"clips": len(manifest), "sha256": manifest.fingerprint},
    }


@dataclasses.dataclass
class Progress:
    """How far this process is with its share.

    Attributes:
        clips, shards: in its share.
        clips_done, shards_done: of these, with those of earlier runs.
        rejects: clips that could not be explained, with those of earlier runs.
        explained: clips that this run explained or rejected, in `seconds`.
        wait_share: share of the time in which its devices had nothing to do; None before two steps.
    """

    clips: int = 0
    shards: int = 0
    clips_done: int = 0
    shards_done: int = 0
    rejects: int = 0
    explained: int = 0
    seconds: float = 0.0
    wait_share: float | None = None

    def advance(self, clips: int, seconds: float, wait_share: float | None) -> None:
        """Count recordings that this run has finished, `seconds` after it began."""
        self.clips_done += clips
        self.explained += clips
        self.seconds, self.wait_share = seconds, wait_share

    @property
    def rate(self) -> float:
        """Clips a second."""
        return self.explained / self.seconds if self.seconds else 0.0

    def record(self) -> dict:
        """For a line of JSON."""
        left = (self.clips - self.clips_done) / self.rate if self.rate else None
        return dataclasses.asdict(self) | {"clips_per_second": self.rate, "eta_seconds": left}


class Tables(NamedTuple):
    """What a shard gives: its number of recordings, a row for each explained segment, and one for each reject."""

    shard: int
    clips: int
    results: pa.Table
    rejects: pa.Table


def run_job(
    explainer: Explainer,
    manifest: Manifest,
    store: Store,
    job: Job,
    index: int = 0,
    count: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
    check: Callable[[], None] = lambda: None,
) -> Progress:
    """Explain the share `index` of `count` of a manifest's shards, those that are not done.

    Args:
        explainer, manifest, store, job: what to explain, where to and how.
        index, count: this process and the number of processes; shards index, index + count, ... are its share.
        report: told how far it is, after every batch.
        check: called several times a second; what it raises ends the job, and leaves only whole parts behind.

    Raises:
        StoreError: the folder of results cannot be written.
        AudexError: the devices' memory does not hold a batch.
    """
    meter = Meter()
    with store.held(index, count):
        progress, todo = survey(manifest, store, job, index, count)
        report(progress)
        mapped = on_devices(explainer, job.settings, job.parallel)
        started = time.monotonic()
        with contextlib.closing(explain_shards(explainer, mapped, manifest, job, todo, meter, check)) as found:
            for done in found:
                if isinstance(done, Tables):
                    store.commit(*done)
                    clips = len(done.rejects)
                    progress.rejects += clips
                    progress.shards_done += 1
                else:
                    clips = done
                progress.advance(clips, time.monotonic() - started, meter.wait_share)
                report(progress)
        store.sweep()
    return progress


def survey(manifest: Manifest, store: Store, job: Job, index: int = 0, count: int = 1) -> tuple[Progress, list[int]]:
    """How far a share of the shards is, and those of its shards that are to be done; see `run_job`."""
    store.sweep()
    share, todo = range(index, store.shards, count), []
    progress = Progress(clips=sum(len(manifest.shard(n, job.shard_clips)) for n in share), shards=len(share))
    with ThreadPoolExecutor(job.threads) as pool:
        for shard, counts in zip(share, pool.map(store.counts, share), strict=True):
            if counts is None or (job.retry_rejects and counts["rejects"]):
                todo.append(shard)
            else:
                progress.clips_done += counts["clips"]
                progress.rejects += counts["rejects"]
                progress.shards_done += 1
    return progress, todo


def explain_shards(
    explainer: Explainer,
    mapped: Mapped,
    manifest: Manifest,
    job: Job,
    shards: Iterable[int],
    meter: Meter | None = None,
    check: Callable[[], None] = lambda: None,
) -> Generator[int | Tables, None, None]:
    """Explain whole shards as one stream.

    Args:
        explainer, manifest, job: what to explain and how.
        mapped: what `on_devices` made of the explainer and the job's settings.
        shards: which.
        meter: told about every step.
        check: called several times a second while waiting; may raise.

    Yields:
        For every batch, the number of recordings that it finished; for every shard, its tables.

    Raises:
        AudexError: the devices' memory does not hold a batch.
    """
    schema = result_schema(explainer.sample_rate, job.elements, job.attribution, job.audio)
    build = functools.partial(row_of, elements=job.elements, attribution=job.attribution, audio=job.audio)

    def row(found: tuple[Key, Explanation]) -> tuple[tuple[int, int], dict]:
        key, explanation = found
        start = key.segment * explainer.clip_samples
        return (key.position, key.segment), build(key.identity, key.segment, start, explanation)

    items = read_shards(explainer, manifest, job, shards)
    stream = explain_stream(
        explainer,
        mapped,
        items,
        job.settings,
        job.target,
        batch=job.batch,
        control=job.control,
        meter=meter,
        check=check,
    )
    rows, refused = [], {}
    try:
        with contextlib.closing(stream), ThreadPoolExecutor(job.threads) as pool:
            for found in stream:
                if isinstance(found, Mark):
                    shard, rejects = found.value
                    rejects += refused.values()
                    ordered = [row for (p, _), row in sorted(rows, key=lambda placed: placed[0]) if p not in refused]
                    clips = len(manifest.shard(shard, job.shard_clips))
                    yield Tables(shard, clips, table_of(ordered, schema), pa.Table.from_pylist(rejects, REJECTS))
                    rows, refused = [], {}
                else:
                    refused |= {k.position: k.identity | {"reason": str(e)} for k, e in found if not _explains(e)}
                    rows += pool.map(row, (one for one in found if _explains(one[1])))
                    yield sum(key.last for key, _ in found)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise AudexError(f"a batch of {job.batch} clips does not fit into a device; use a smaller one") from error


def _explains(found: Explanation | ModelError) -> bool:
    return isinstance(found, Explanation)


class Key(NamedTuple):
    """Which segment of which recording, `last` in it or not, and the columns that say which recording it is."""

    position: int
    segment: int
    last: bool
    identity: dict


class ShardRead(NamedTuple):
    """Every recording of a shard was read; those that could not be are in `rejects`."""

    shard: int
    rejects: list[dict]


def read_shards(
    explainer: Explainer, manifest: Manifest, job: Job, shards: Iterable[int]
) -> Generator[Clip | Mark, None, None]:
    """The segments of all recordings of some shards, with a mark behind each shard."""
    codec = explainer.model.codec
    for shard in shards:
        positions, rejects = manifest.shard(shard, job.shard_clips), []
        paths = [manifest.paths[position] for position in positions]
        read = read_recordings(paths, codec.sample_rate, codec.channels, job.threads, ahead=2 * job.batch)
        with contextlib.closing(read):
            for recording in read:
                position = positions[recording.index]
                path, label = text(manifest.paths[position]), manifest.labels[position]
                identity = {"id": manifest.ids[position], "path": path, "label": label} | recording.known
                if recording.samples is None:
                    rejects.append(identity | {"reason": recording.error})
                    continue
                identity["samples_sha256"] = digest_of(recording.samples)
                pieces = explainer.segments(recording.samples)
                for number, piece in enumerate(pieces):
                    yield Clip(Key(position, number, number == len(pieces) - 1, identity), piece)
        yield Mark(ShardRead(shard, rejects))
