"""What `audex explain` does in which order: the device explains what follows while files are written."""

import pathlib
from types import SimpleNamespace

import numpy as np
import pytest

from audex_jax.core.settings import Settings
from audex_jax.io.audio import AudioError
from audex_jax.report import files


@pytest.fixture
def happened(monkeypatch) -> list[str]:
    """What is started, finished and written; recordings hold as many segments as their names say, `bad` is broken."""
    log: list[str] = []

    def read(path, rate, channels):
        if path.name == "bad":
            raise AudioError("bad: broken")
        return np.arange(int(path.name[0]))

    def write(out, name, path, audio, explanations, *rest):
        log.append(f"write {name} {explanations}")
        return {}

    monkeypatch.setattr(files, "BATCHES", (2, 1))
    monkeypatch.setattr(files, "read_recording", read)
    monkeypatch.setattr(files, "write_explanation", write)
    return log


class Explainer:
    """Says which segment it explains."""

    sample_rate = 1
    model = SimpleNamespace(codec=SimpleNamespace(channels=1))

    def __init__(self, log: list[str]):
        self.log = log

    def segments(self, audio):
        return list(audio)

    def start(self, clips, target, settings):
        self.log.append(f"start {len(clips)}")
        return clips

    def explanations(self, begun, clips, settings):
        self.log.append(f"done {len(clips)}")
        return [int(clip) for clip in clips]


def explain(log: list[str], *names: str) -> list[str]:
    paths = [pathlib.Path(name) for name in names]
    results = files.explain_files(Explainer(log), paths, pathlib.Path(), None, Settings(), "model")
    return [result.error or str(result.path) for result in results]


def test_what_follows_begins_before_what_is_done_is_written(happened):
    assert explain(happened, "1a", "bad", "1b", "3c", "1d") == ["1a", "bad: broken", "1b", "3c", "1d"]
    first = ["start 2", "done 2"]
    second = ["start 2", "write 1a [0]", "write 1b [0]", "done 2", "start 1", "done 1"]
    third = ["start 1", "write 3c [0, 1, 2]", "done 1", "write 1d [0]"]
    assert happened == first + second + third


def test_what_is_done_is_written_if_what_follows_cannot_begin(happened, monkeypatch):
    whole = Explainer.start

    def start(self, clips, target, settings):
        if len(clips) == 1:
            raise MemoryError
        return whole(self, clips, target, settings)

    monkeypatch.setattr(Explainer, "start", start)
    with pytest.raises(MemoryError):
        explain(happened, "2a", "1b")
    assert happened == ["start 2", "done 2", "write 2a [0, 1]"]


@pytest.mark.parametrize("names", [(), ("bad",), ("bad", "1a"), ("2a", "bad")])
def test_every_recording_is_told_of_once(happened, names):
    assert explain(happened, *names) == ["bad: broken" if name == "bad" else name for name in names]
