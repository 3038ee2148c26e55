"""Clips in, explanations out, on all devices of this process.

    items ──► length buckets ──► padded batch ──► placed on the devices ──► step ──► explanations
    └────────────── one thread, two batches ahead ─────────────┘    └─ one ─┘    └─ the caller's ─┘

While the devices explain one batch, the next is being read and placed and the last is being stored.
"""

import contextlib
import functools
import queue
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from audex_jax.batch.plan import CONTROL
from audex_jax.core.errors import ModelError
from audex_jax.core.host import traceable
from audex_jax.core.level import samples_of
from audex_jax.core.settings import Settings, settings_from
from audex_jax.devices.mapping import Mapped, map_over_devices
from audex_jax.explain.checks import usable
from audex_jax.explain.control import wrong_targets
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.model import Model
from audex_jax.explain.result import Explanation
from audex_jax.explain.step import BatchExplanation, explain_step

Item = TypeVar("Item")
AHEAD = 2  # batches
POLL_SECONDS = 0.2


class Mark(NamedTuple):
    """An item that is no clip: all clips before it are explained before it comes out again."""

    value: Any


class Clip(NamedTuple):
    """An item to explain: samples `[n]` or `[n, c]` with a name of the caller's."""

    key: Any
    samples: np.ndarray


Batch = tuple[list[Clip], Any]  # and their padded arrays, or what became of them


class Meter:
    """How busy the devices are, from the end of the first step (which is compiled) to the end of the last."""

    def __init__(self):
        self.steps, self.busy, self.first, self.last = 0, 0.0, 0.0, 0.0

    def step(self, started: float, ended: float) -> None:
        if self.steps:
            self.busy += ended - started
        else:
            self.first = ended
        self.steps, self.last = self.steps + 1, ended

    @property
    def wait_share(self) -> float | None:
        """Share of the time that the devices had nothing to do; None before two steps."""
        elapsed = self.last - self.first
        return None if self.steps < 2 or elapsed <= 0 else max(0.0, 1 - self.busy / elapsed)


def explain_batches(
    explainer: Explainer,
    clips: Iterable[tuple[Any, np.ndarray]],
    *,
    target: str | None = None,
    batch: int = 8,
    control: float = CONTROL,
    parallel: str = "auto",
    **settings,
) -> Iterator[tuple[Any, Explanation]]:
    """Explain the clips of a loader of your own, on all devices of this process.

    Args:
        explainer: what explains.
        clips: pairs of a key and samples `[n]` (or `[n, c]`) at `explainer.sample_rate`, at most
            `explainer.clip_samples` of them, as `explainer.explain` takes them. Read on a thread, a few batches ahead.
        target: label to explain; None for the predicted one.
        batch: clips a device takes at once.
        control: share of the clips for which the same method is asked for a label that is not there, too.
        parallel: see `map_over_devices`.
        **settings: fields of `Settings`, for example `keep=0.1`.

    Yields:
        Key and explanation of every clip. Clips of about equal length come out in order; others may overtake them.

    Raises:
        AudexError: a clip that `explainer.explain` refuses; an unknown label or setting.
    """
    chosen = settings_from(settings)
    mapped = on_devices(explainer, chosen, parallel)
    items = (Clip(key, samples_of(samples, f"the clip {key!r}")) for key, samples in clips)
    found = explain_stream(explainer, mapped, items, chosen, target, batch=batch, control=control)
    with contextlib.closing(found):
        for explained in found:
            assert not isinstance(explained, Mark)
            yield from ((key, usable(explanation)) for key, explanation in explained)


def on_devices(explainer: Explainer, settings: Settings, parallel: str = "auto") -> Mapped:
    """The compiled step of an explainer on all devices of this process, for any number of streams.

    A model that JAX cannot compile takes its batches by itself, see `core.host`.
    """
    step = functools.partial(_step, settings=explainer.suited(settings))
    if not traceable(explainer.model):

        def whole(weights: Model, batch: Any) -> Any:
            return jax.tree.map(lambda a: a[None], step(weights, jax.tree.map(lambda a: a[0], batch)))

        return Mapped(whole, explainer.model, lambda batch: jax.tree.map(lambda a: np.asarray(a)[None], batch), 1)
    return map_over_devices(step, explainer.model, parallel)


def explain_stream(
    explainer: Explainer,
    mapped: Mapped,
    items: Iterable[Clip | Mark],
    settings: Settings,
    target: str | None = None,
    *,
    batch: int = 8,
    control: float = 0.0,
    meter: Meter | None = None,
    check: Callable[[], None] = lambda: None,
) -> Generator[list[tuple[Any, Explanation | ModelError]] | Mark, None, None]:
    """Explain a stream of clips; `Mark`s come out where they went in.

    Args:
        explainer, settings, target: as in `Explainer.explain_clips`.
        mapped: what `on_devices` made of them.
        items: clips and marks. Read on a thread, a few batches ahead.
        batch: clips a device takes at once.
        control: share of the clips that get a wrong-target control; a clip's content alone decides if it does.
        meter: told about every step.
        check: called several times a second while waiting; may raise.

    Yields:
        For every batch, keys and explanations, or why there is none; and the marks.
    """
    index, meter = explainer.target_index(target), meter or Meter()

    def explained(batches: Generator[Batch | Mark, None, None]) -> Generator[Batch | Mark, None, None]:
        with contextlib.closing(batches):
            for work in batches:
                if isinstance(work, Mark):
                    yield work
                    continue
                started = time.monotonic()
                clips, arrays = work
                result = jax.block_until_ready(mapped.step(mapped.weights, arrays))
                if is_controlled(clips[0], control):  # and so are all of its batch
                    wrong = np.asarray(wrong_targets(jnp.asarray(np.asarray(result.logits))), np.int32)
                    again = mapped.step(mapped.weights, (*arrays[:2], mapped.place(wrong.reshape(-1))))
                    result = jax.block_until_ready(result.controlled(wrong, again))
                meter.step(started, time.monotonic())
                yield clips, result

    placed = ahead(_batches(explainer, items, settings, index, batch, control, mapped))
    results = ahead(explained(placed), check)
    with contextlib.closing(results):
        for work in results:
            if isinstance(work, Mark):
                yield work
                continue
            clips, result = work
            explanations = explainer.explanations(_on_host(result), [clip.samples for clip in clips], settings)
            yield [(clip.key, explanation) for clip, explanation in zip(clips, explanations, strict=True)]


def _step(model: Model, batch: tuple[Any, Any, Any], settings: Settings) -> BatchExplanation:
    audio, lengths, target = batch
    return explain_step(model, audio, lengths, target, settings)


def buckets(explainer: Explainer, settings: Settings) -> list[int]:
    """Lengths in samples that clips are padded to, shortest first: all, a half and a quarter of the longest clip.

    Zeros behind a clip change nothing for a padding-invariant codec. Other codecs, and fillers that depend on the
    length of the batch, get one bucket, so that a clip's explanation never depends on how it was batched, but for
    rounding.
    """
    codec, whole = explainer.model.codec, explainer.clip_samples
    if not codec.padding_invariant or settings.filler == "noise":
        return [whole]
    return sorted({whole} | {-(-whole // (part * codec.hop)) * codec.hop for part in (2, 4)} - {0})


def is_controlled(clip: Clip, share: float) -> bool:
    """Whether a clip is among the share that gets a control; its content decides."""
    return zlib.crc32(np.asarray(clip.samples, np.float32).tobytes()) < share * 2**32


def _batches(
    explainer: Explainer,
    items: Iterable[Clip | Mark],
    settings: Settings,
    target: int,
    batch: int,
    control: float,
    mapped: Mapped,
) -> Generator[Batch | Mark, None, None]:
    """Clips of one bucket, and their padded batch on the devices; incomplete ones at marks and at the end.

    Clips that get a control are batched apart, whatever their length.
    """
    lengths_of = buckets(explainer, settings)
    waiting: dict[tuple[int, bool], list[Clip]] = {(samples, False): [] for samples in lengths_of}
    waiting |= {(lengths_of[-1], True): []}
    size = batch * mapped.devices

    def place(bucket: tuple[int, bool]) -> Batch:
        clips, waiting[bucket] = waiting[bucket], []
        audio, lengths = explainer.pad([clip.samples for clip in clips], bucket[0])
        missing = size - len(clips)  # filled up with the first clip again, which takes no longer; its rows are left out
        audio, lengths = (np.concatenate([a, np.repeat(a[:1], missing, 0)]) for a in (audio, lengths))
        return clips, mapped.place((audio, lengths, np.full(size, target, np.int32)))

    def rest() -> Iterator[Batch]:
        yield from (place(bucket) for bucket in waiting if waiting[bucket])

    for item in items:
        if isinstance(item, Mark):
            yield from rest()
            yield item
            continue
        chosen = is_controlled(item, control)
        fitting = (samples for samples in lengths_of[:-1] if len(item.samples) <= samples and not chosen)
        bucket = next(fitting, lengths_of[-1]), chosen
        waiting[bucket].append(item)
        if len(waiting[bucket]) == size:
            yield place(bucket)
    yield from rest()


def _on_host(result: BatchExplanation) -> BatchExplanation:
    """Arrays `[devices, b, ...]` as NumPy arrays `[devices * b, ...]`."""
    return jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[2:]), result)


def ahead(items: Generator[Item, None, None], check: Callable[[], None] = lambda: None) -> Generator[Item, None, None]:
    """Yield `items`, which are made on a thread, up to `AHEAD` before they are asked for.

    What `items` raises is raised here. Closing this generator closes `items`, once the item in the making is made; the
    interpreter waits for that at its end too, since a thread that is inside XLA then would abort the process.
    """
    made: queue.Queue = queue.Queue(AHEAD)
    gone = threading.Event()

    def wanted() -> bool:
        return not gone.is_set() and threading.main_thread().is_alive()

    def put(kind: str, value: Any) -> None:
        while wanted():
            with contextlib.suppress(queue.Full):
                return made.put((kind, value), timeout=POLL_SECONDS)

    def fill() -> None:
        try:
            with contextlib.closing(items):
                for item in items:
                    put("item", item)
                    if not wanted():
                        return
            put("end", None)
        except BaseException as error:
            put("error", error)

    threading.Thread(target=fill, name="audex-ahead").start()
    try:
        while wanted():
            check()
            try:
                kind, value = made.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        gone.set()
