"""What the page knows: a short row for each recording from the start, and each recording's full content when asked for.

Probabilities and the gap travel as they are; the page rounds them, once.
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Sequence

import numpy as np

from audex_jax.explain.verdict import KINDS, MEANINGS, verdict
from audex_jax.io.files import json_text
from audex_jax.report.folder import ReportClip


class Index:
    """The list of all recordings, and what each one's full content is.

    A row holds path, run, label, probability, true label or -1, kind of verdict, gap, seconds, level in dB, number of
    segments, and how many of them got the label. Of several segments the label and the verdict are the most frequent,
    and probability and gap are None: they differ from one to the next.
    """

    def __init__(self):
        self.labels: dict[str, int] = {}
        self.runs: dict[str, int] = {}
        self.rows: list[list] = []
        self.contents = 0

    def add(self, clip: ReportClip) -> dict:
        """Enter a clip; returns its full content for the page."""
        record, segments = clip.record, clip.record["segments"]
        run = {key: record[key] for key in ("model", "sample_rate", "settings", "versions")}
        run["model"] = os.path.basename(run["model"]) if os.path.isabs(run["model"]) else run["model"]
        label, agreeing = Counter(s["prediction"] for s in segments).most_common(1)[0]
        kind = Counter(verdict(s).kind for s in segments).most_common(1)[0][0]
        alone = segments[0] if len(segments) == 1 else {}
        truth = record.get("label")
        self.rows.append(
            [
                record["file"],
                self.runs.setdefault(json_text(run), len(self.runs)),
                self._label(label),
                alone.get("prediction_probability"),
                self._label(truth) if isinstance(truth, str) else -1,
                list(KINDS).index(kind),
                alone.get("completeness_gap"),
                round(record["seconds"], 2),
                clip.level_db,
                len(segments),
                agreeing,
            ]
        )
        return {
            "segments": [self._segment(segment) for segment in segments],
            "own": record["settings"]["keep"],
            "tail": round(record["unexplained_tail_seconds"], 3),
            "frameRate": clip.frame_rate,
            "evidence": _packed(clip.evidence),
            "map": None if clip.occlusion_map is None else _packed(clip.occlusion_map),
            "missing": list(clip.missing),
            "sounds": {track: [base64.b64encode(f).decode() for f in files] for track, files in clip.sounds.items()},
        }

    def content(self, assets: str | None) -> dict:
        """What the page knows from the start. `assets` names the folder with the clips' content, if not inside."""
        names = shortened([row[0] for row in self.rows])
        return {
            "labels": list(self.labels),
            "runs": [json.loads(run) for run in self.runs],
            "kinds": [[kind, text, MEANINGS[kind]] for kind, text in KINDS.items()],
            "rows": [[name, *row[1:]] for name, row in zip(names, self.rows, strict=True)],
            "assets": assets,
        }

    def _label(self, label: str) -> int:
        return self.labels.setdefault(label, len(self.labels))

    def _top(self, top: dict[str, float]) -> list:
        return [[self._label(label), share] for label, share in top.items()]

    def _segment(self, segment: dict) -> dict:
        levels = sorted(segment["levels"], key=lambda level: level["keep"])
        return {
            "start": segment["start_seconds"],
            "end": segment["end_seconds"],
            "label": self._label(segment["prediction"]),
            "probability": segment["prediction_probability"],
            "target": self._label(segment["target"]),
            "targetProbability": segment["target_probability"],
            "gap": segment["completeness_gap"],
            "before": self._top(segment["probabilities"]),
            "levels": [self._level(segment, level) for level in levels],
        }

    def _level(self, segment: dict, level: dict) -> dict:
        judged = verdict(segment, level)
        return {
            "keep": level["keep"],
            "kind": list(KINDS).index(judged.kind),
            "headline": judged.headline,
            "reasons": judged.reasons,
            "latentSufficient": level["latent_sufficient"],
            "metrics": [[name, value] for name, value in level.get("metrics", {}).items() if value is not None],
            "after": self._top(level["explanation_probabilities"]),
        }


def shortened(paths: Sequence[str]) -> list[str]:
    """Paths without the folders that all of them share.

    >>> shortened(["/data/yes/a.wav", "/data/no/a.wav"])
    ['yes/a.wav', 'no/a.wav']
    >>> shortened(["/data/yes/a.wav"])
    ['a.wav']
    """
    parts = [path.split("/") for path in paths]
    shared = 0
    for folder in zip(*(one[:-1] for one in parts), strict=False):
        if len(set(folder)) > 1:
            break
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def _packed(values: np.ndarray) -> dict:
    """An array `[t, k]` as bytes of -127 to 127 in base64, with the value of 127."""
    scale = float(np.abs(values).max(initial=0)) or 1.0
    quantised = np.round(127 * values / scale).astype(np.int8).tobytes()
    return {"scale": float(f"{scale:.4g}"), "width": values.shape[1], "bytes": base64.b64encode(quantised).decode()}
