"""Metrics of an explanation by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from audex_jax.core.registry import METRICS


def explanation(gain: float, samples: int = 4000) -> SimpleNamespace:
    noise = np.sin(np.arange(samples, dtype=float) ** 2)
    return SimpleNamespace(audio=gain * noise, reconstruction=noise, attribution=np.array([[0.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize(("name", "value"), [("spectral-distance", 20.0), ("level", 20.0), ("sparseness", 0.75)])
@pytest.mark.parametrize("samples", [4000, 700])
def test_each_by_hand(name, value, samples):
    assert METRICS[name](explanation(10.0, samples), np.zeros(1)) == pytest.approx(value, abs=1e-3)


def test_every_metric_says_what_it_means():
    for name in METRICS.names():
        assert METRICS[name].__doc__.splitlines()[0].endswith(".")
        assert np.isfinite(METRICS[name](explanation(1.0), np.zeros(1)))
