"""Reports of the Parquet tables of `audex batch`, which hold less than the folders of `audex explain`."""

import json

import numpy as np
import pytest
import soundfile

from audex_jax.cli import main
from audex_jax.io.audio import digest_of, flac_of
from audex_jax.report.record import ReportError
from audex_jax.report.table import parts, read_clips

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def row(name: str, segment: int, **change) -> dict:
    tone = 0.1 * np.sin(np.arange(4000) / 5).astype(np.float32)
    pairs = [{"label": "stop", "probability": 0.9}]
    return {
        "id": name, "path": f"/gone/{name}.wav", "label": None, "samples_sha256": "", "segment": segment,
        "start_seconds": 0.5 * segment, "end_seconds": 0.5 * segment + 0.5,
        "prediction": "stop", "prediction_probability": 0.9, "target": "stop", "target_probability": 0.9,
        "probabilities": pairs, "completeness_gap": 0.01, "converged": True, "convergence": "The gap is 1%.",
        "reconstruction_agrees": True, "reconstruction_agrees_shifted": True, "reconstruction_probability": 0.9,
        "silent": False, "keep": 0.2, "gain": 1.0, "adversarial": False, "sound_alone": False, "model_warning": None,
        "target_absent": False,
        "sufficient_shifted": True, "necessary_shifted": True,
        "versus": None, "versus_probabilities": [],
        "control_target": None, "control_probability": None, "control_heard": None,
        "sufficient": True, "necessary": False, "explanation_probability": 0.8, "explanation_probabilities": pairs,
        "residual_probability": 0.7, "latent_sufficient": True, "latent_necessary": True, "metric_level": -2.0,
        "attribution": [[0.5, -0.25]] * 25,
        "audio": {"bytes": flac_of(tone, 8000), "path": f"{name}.{segment}.flac"},
    } | change  # fmt: skip


@pytest.fixture
def job(tmp_path):
    """A finished job of two parts with a recording of two segments, one of one, and one that was not explained well."""
    rows = [
        row("a", 0),
        row(
            "a",
            1,
            prediction_probability=0.95,
            target_probability=0.95,
            probabilities=[{"label": "stop", "probability": 0.95}],
        ),
        row("b", 0),
        row("c", 0, sufficient=False, converged=False),
    ]
    (tmp_path / "parts").mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:2]), tmp_path / "parts" / "part-000000.parquet")
    pq.write_table(pa.Table.from_pylist(rows[2:]), tmp_path / "parts" / "part-000001.parquet")
    run = {"settings": {"keep": 0.2, "steps": 16}, "about": {"model": "mine", "versions": {"jax": "1"}}}
    (tmp_path / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_rows_of_a_recording_are_put_together(job):
    a, b, c = read_clips(parts(job))
    assert len(a.record["segments"]) == 2
    assert a.record["prediction_probability"] == 0.95
    assert a.record["seconds"] == 1.0
    assert a.record["model"] == "mine"
    assert (len(a.evidence), a.frame_rate) == (50, 50)
    np.testing.assert_allclose(b.evidence, [[0.5, -0.25]] * 25)
    assert b.levels[0]["keep"] == 0.2
    assert b.levels[0]["metrics"] == {"level": -2.0}
    assert list(c.sounds) == ["explanation"]
    assert a.missing[-1] == "The recording is no longer where it was, or has changed."
    assert "audex explain RECORDING --report" in a.missing[0]


def test_a_report_of_a_job_and_of_one_part(job, capsys):
    assert main(["report", str(job)]) == 0
    assert "report.html: 3 recordings" in capsys.readouterr().out
    assert main(["report", str(job / "parts" / "part-000001.parquet"), "--out", str(job / "part.html")]) == 0
    assert "part.html: 2 recordings" in capsys.readouterr().out
    assert main(["report", str(job), "--most", "1"]) == 0
    assert "report.html: 1 recordings" in capsys.readouterr().out
    page = (job / "part.html").read_text()
    assert "is not classified as 'stop'." in page
    assert "Do not trust single elements. The gap is 1%" in page


def test_what_is_not_stored_is_read_again_or_reported(tmp_path):
    path = tmp_path / "here.wav"
    soundfile.write(path, np.zeros(4000), 8000)
    here = {"path": str(path), "samples_sha256": digest_of(np.zeros(4000, np.float32))}
    rows = [row("here", 0, **here), row("another", 0, path=str(path)), row("gone", 0), row("broken", 0)]
    for each in rows[:3]:
        del each["audio"], each["attribution"]
    rows[3]["audio"] = {"bytes": b"not audio", "path": ""}
    del rows[3]["attribution"]
    (tmp_path / "parts").mkdir()
    (tmp_path / "run.json").write_text('{"settings": {}, "sample_rate": 8000}')
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "parts" / "t.parquet")
    here, another, gone, broken = read_clips([tmp_path / "parts" / "t.parquet"])
    assert isinstance(another, ReportError)  # the file there is not what was explained
    assert list(here.sounds) == ["original"]
    assert not here.evidence.any()
    assert here.level_db == -160
    assert here.missing[:2] == (
        "The explanation's sound: audex batch without --no-audio.",
        "The attribution over time: audex batch --attribution.",
    )
    assert isinstance(gone, ReportError)
    assert "no sound of it" in str(gone)
    assert isinstance(broken, ReportError)


def test_a_broken_table_is_named(tmp_path, capsys):
    (tmp_path / "t.parquet").write_text("no table")
    assert main(["report", str(tmp_path / "t.parquet")]) == 1
    assert "t.parquet: not a readable Parquet table" in capsys.readouterr().err
