"""Does the cost of an explanation grow linearly with clips, length and points?

    python -m benchmarks.scaling [--subject published] [--series clips,length,points] [--json FILE]

Each series is one batch on one device, timed in turns, with a straight line fitted: seconds = a + b n. Beside R^2
stands what a unit costs at the longest over what it costs at half of that: 1 is linear, 2 would be quadratic.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from audex_jax.explain.step import Model, Settings, explain_step
from benchmarks.measure import Timing, in_turns, parser_for, report, seconds, show
from benchmarks.subject import SUBJECTS, clips_of, weights_of

SERIES = {"clips": (2, 4, 8, 16), "length": (0.5, 1.0, 2.0, 4.0), "points": (8, 16, 32, 64)}
CLIPS, LENGTH, SETTINGS = 4, 1.0, Settings(ranking="weighted", steps=16)


def run_of(model: Model, clips: int, length: float, points: int) -> Callable[[], Any]:
    audio = clips_of(weights.codec.config, clips, length)
    lengths, targets = np.full(clips, audio.shape[1], np.int32), np.full(clips, -1, np.int32)
    settings = dataclasses.replace(SETTINGS, steps=points)
    return lambda: explain_step(weights, audio, lengths, targets, settings, None)


def runs_of(model: Model, series: str, small: bool) -> dict[float, Callable[[], Any]]:
    """One run for each number of the series."""
    fixed = {"clips": 2 if small else CLIPS, "length": LENGTH, "points": 4 if small else 16}
    if series == "length" and not small:
        fixed["clips"] = 2
    numbers = SERIES[series][:2] if small else SERIES[series]
    return {n: run_of(weights, **fixed | {series: n}) for n in numbers}


def fit(numbers: list[float], found: list[Timing]) -> dict[str, float]:
    """The line through the medians, and how straight they lie."""
    times = np.array([timing.median for timing in found])
    slope, start = np.polyfit(numbers, times, 1)
    left = times - (start + slope * np.array(numbers))
    unit = times / np.array(numbers)
    return {
        "start, ms": 1e3 * float(start),
        "ms each": 1e3 * float(slope),
        "R^2": 1 - float(np.square(left).sum() / np.square(times - times.mean()).sum()),
        "a unit at the end over at half": float(unit[-1] / unit[-2]),
    }


def main(argv: list[str] | None = None) -> None:
    parser = parser_for("benchmarks.scaling", __doc__)
    parser.add_argument("--subject", choices=SUBJECTS, default="published")
    parser.add_argument("--series", default=",".join(SERIES))
    arguments = parser.parse_args(argv)
    weights = weights_of("tiny" if arguments.small else arguments.subject)
    figures: dict[str, Any] = {"subject": weights.codec.config.name}
    for series in arguments.series.split(","):
        runs = runs_of(weights, series, arguments.small)
        cold = {str(n): seconds(run) for n, run in runs.items()}
        found = in_turns({str(n): run for n, run in runs.items()}, arguments.repeats)
        line = fit(list(runs), [found[str(n)] for n in runs])
        figures[series] = {"fit": line, "timings": {name: timing.record() for name, timing in found.items()}}
        rows = [{series: name, "ms": 1e3 * t.median, "cold, s": cold[name]} for name, t in found.items()]
        show(series, rows)
        show(f"{series}: the line", [line])
    report(arguments, figures)


if __name__ == "__main__":
    main()
