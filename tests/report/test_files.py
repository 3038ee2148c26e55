"""`explain_files`: every recording is told of once, in order, and what is explained is on disk whatever follows."""

import numpy as np
import pytest
import soundfile

from audex_jax.core.errors import ModelError
from audex_jax.core.settings import Settings
from audex_jax.data.inputs import list_inputs, output_names
from audex_jax.explain.explainer import Explainer
from audex_jax.explain.maps import BANDS
from audex_jax.io.atomic import write_json
from audex_jax.io.audio import write_audio
from audex_jax.report import files
from audex_jax.report.folder import Drawing, read_clip

SETTINGS = Settings(steps=8, ranking="weighted")


@pytest.fixture
def recordings(tmp_path, rng, monkeypatch):
    """Four, the second broken; two segments are explained at once."""
    monkeypatch.setattr(files, "BATCHES", (2,))
    paths = [tmp_path / name for name in ("a.wav", "bad.wav", "b.wav", "two segments.wav")]
    for path, samples in zip(paths, (800, 0, 500, 1700), strict=True):
        write_audio(path, 0.1 * rng.normal(size=samples), 1000)
    return paths


def explain(explainer, recordings):
    out = recordings[0].parent / "out"
    out.mkdir()
    for result in files.explain_files(explainer, recordings, out, None, SETTINGS, "tiny"):
        yield result.path.name, result.error is None, (out / f"{result.path.stem}.json").exists()


def test_every_recording_is_told_of_once(mdct_explainer, recordings):
    told = [(path.name, *[path.name != "bad.wav"] * 2) for path in recordings]
    assert list(explain(mdct_explainer, recordings)) == told


def test_what_is_done_is_written_if_what_follows_cannot_begin(mdct_explainer, recordings):
    class RunsOut(Explainer):
        def start(self, clips, *rest):
            if np.sum([len(clip) for clip in clips]) > 1500:
                raise MemoryError
            return super().start(clips, *rest)

    told = explain(RunsOut(mdct_explainer.model, mdct_explainer.labels, 1.0), recordings)
    assert [next(told)[0] for _ in range(3)] == ["a.wav", "bad.wav", "b.wav"]
    with pytest.raises(MemoryError):
        next(told)


def test_the_recordings_own_folder_may_hold_the_outputs(mdct_explainer, tmp_path, rng):
    """A recording that is called like an output stays; what was written is no recording the next time."""
    for name in ("x.wav", "x.explanation.wav"):
        soundfile.write(tmp_path / name, 0.1 * rng.normal(size=500), 1000)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):
        inputs = list_inputs([str(tmp_path), str(tmp_path / "x.wav")])
        assert sorted(path.name for path in inputs) == sorted(before)
        found = list(files.explain_files(mdct_explainer, inputs, tmp_path, None, SETTINGS, "tiny"))
        assert [result.error for result in found] == [None, None]
        records = sorted(path.name for path in tmp_path.glob("*.json"))
        assert records == sorted(["x.explanation.json", f"{tmp_path.name}-x.json"])
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_another_recording_of_the_same_stem_gets_another_name(tmp_path):
    long = "\u00e9" * 120
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for stem in ("clip", long):
            (tmp_path / folder / f"{stem}.wav").touch()
    first = output_names([tmp_path / "a" / "clip.wav"], tmp_path / "out")
    (tmp_path / "out").mkdir()
    write_json(tmp_path / "out" / "clip.json", {"address": str(tmp_path / "a" / "clip.wav")})
    again = output_names([tmp_path / "a" / "clip.wav"], tmp_path / "out")
    other = output_names([tmp_path / "b" / "clip.wav"], tmp_path / "out")
    assert [list(names.values()) for names in (first, again, other)] == [["clip"], ["clip"], ["b-clip"]]
    both = output_names([tmp_path / folder / f"{long}.wav" for folder in "ab"], tmp_path / "out").values()
    assert len(set(both)) == 2
    assert all(len(name.encode()) <= 180 for name in both)


def test_what_is_not_finite_fails_for_its_own_recording_alone(mdct_explainer, recordings):
    class Breaks(Explainer):
        def explanations(self, batch, clips, settings):
            found = super().explanations(batch, clips, settings)
            return [ModelError("not finite") if len(clip) == 500 else e for e, clip in zip(found, clips, strict=True)]

    told = list(explain(Breaks(mdct_explainer.model, mdct_explainer.labels, 1.0), recordings))
    assert [name for name, good, written in told if good and written] == ["a.wav", "two segments.wav"]
    assert [name for name, good, written in told if not (good or written)] == ["bad.wav", "b.wav"]


def test_pictures_are_drawn_as_asked_and_labels_come_from_folders(mdct_explainer, tmp_path, rng):
    out, recording = tmp_path / "out", tmp_path / "left" / "two segments.wav"
    for folder in (out, recording.parent):
        folder.mkdir()
    write_audio(recording, 0.1 * rng.normal(size=1700), 1000)
    drawing = Drawing("svg", "single")
    (result,) = files.explain_files(
        mdct_explainer, [recording], out, None, SETTINGS, "tiny", maps=True, drawing=drawing
    )
    assert result.record is not None
    assert result.record["label"] == "left"
    assert (out / "two segments.svg").read_text().startswith("<?xml")
    clip = read_clip(out / "two segments.json")
    assert clip.occlusion_map is not None
    assert clip.occlusion_map.shape == (50 + 35, BANDS)
    assert clip.missing == ()
    assert clip.level_db == pytest.approx(-20, abs=1)
