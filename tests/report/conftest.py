"""Explanation folders as `audex explain --report` writes them, made up without any model."""

import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
import soundfile

from audex_jax.io.audio import digest_of, read_audio, write_audio

RATE = 8000
KEEPS = (0.05, 0.1, 0.2, 0.4)


@pytest.fixture(scope="session")
def explained_folder():
    """Makes a folder of explanations without any model: `explained_folder(folder, names)`."""
    return make_up


def make_up(folder: pathlib.Path, names: list[str], labels: tuple[str, ...] = ("no", "stop", "yes")) -> pathlib.Path:
    """One explained recording of 0.5 s for each name; verdicts, labels and gaps vary with their number."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(names))
    time = np.arange(RATE // 2) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time) * np.hanning(len(time))).astype(np.float32)
    for number, name in enumerate(names):
        stem = f"clip-{number:04d}"
        recording = folder.parent / f"{folder.name}-in" / name
        recording.parent.mkdir(exist_ok=True)
        soundfile.write(recording, tone, RATE, format="WAV")
        kinds = ["", *(f"-{100 * keep:g}" for keep in KEEPS if keep != 0.2)]
        for track, level in (("explanation", 0.5), ("residual", 0.1)):
            for kind in kinds:
                noise = rng.normal(size=len(tone)).astype(np.float32)
                write_audio(folder / f"{stem}.{track}{kind}.wav", level * tone + 0.01 * noise, RATE)
        write_audio(folder / f"{stem}.reconstruction.wav", 0.9 * tone, RATE)
        attribution = rng.normal(size=(25, 6)) * np.hanning(25)[:, None]
        np.savez_compressed(
            folder / f"{stem}.attribution.npz", attribution=attribution, mask=attribution > 0, frame_rate=50.0
        )
        files = {
            path.name.removeprefix(f"{stem}."): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.glob(f"{stem}.*")
        }
        (folder / f"{stem}.json").write_text(json.dumps(record(number, str(recording), labels) | {"files": files}))
    return folder


def record(number: int, file: str, labels: tuple[str, ...]) -> dict:
    """The record of a made-up recording."""
    label = labels[number % len(labels)]
    agrees, changes = number % 4 != 3, number % 4 != 2
    gap = 0.11 if number % 5 == 4 else 0.01
    others = [other for other in labels if other != label]

    def share(keep: float) -> dict:
        own = min(0.95, 0.4 + keep) if agrees else 0.2
        after = {label: own, others[0]: 0.04} if agrees else {others[0]: 0.7, label: own}
        return {
            "keep": keep,
            "latent_sufficient": agrees,
            "latent_necessary": changes,
            "sufficient": agrees,
            "necessary": changes,
            "sufficient_shifted": agrees,
            "necessary_shifted": changes,
            "explanation_probability": own,
            "explanation_probabilities": after,
            "residual_probability": 0.1 if changes else 0.8,
            "versus_probabilities": {},
            "gain": 1.0,
            "metrics": {"level": -1.5, "sparseness": None},
        }

    judged = {
        "prediction": label,
        "prediction_probability": 0.9,
        "target": label,
        "target_probability": 0.9,
        "versus": None,
        "probabilities": {label: 0.9, others[0]: 0.05},
        "completeness_gap": gap,
        "converged": gap <= 0.05,
        "convergence": f"The sum is off by {gap:.0%}.",
        "reconstruction_agrees": True,
        "reconstruction_agrees_shifted": True,
        "reconstruction_probability": 0.9,
        "adversarial": False,
        "sound_alone": False,
        "target_absent": False,
        "model_warning": None,
        "control_target": others[0],
        "control_probability": 0.02,
        "control_heard": False,
        "silent": False,
        **share(0.2),
        "levels": [share(keep) for keep in (0.2, 0.05, 0.1, 0.4)],
    }
    return {
        "made_by": "audex-jax",
        "file": file,
        "address": file,
        "samples_sha256": digest_of(read_audio(file, RATE)) if os.path.exists(file) else "",
        "seconds": 0.5,
        "unexplained_tail_seconds": 0.0,
        **judged,
        "segments": [{"start_seconds": 0.0, "end_seconds": 0.5, **judged}],
        "model": "made-up",
        "sample_rate": RATE,
        "settings": {"keep": 0.2, "ranking": "weighted", "steps": 32},
        "versions": {"audex-jax": "0"},
    }
