"""Figures of a study: known answers give known figures, and files that do not fit are refused by name."""

import csv
import itertools
import json

import pytest

from audex_jax.cli import main
from audex_jax.study.design import draw_sheets
from audex_jax.study.key import StudyError
from audex_jax.study.score import COLUMNS, agreement, read_answers, score

LABELS = ["no", "stop", "yes"]


@pytest.fixture
def key():
    methods = ["good", "bad"]
    clips = [
        {"file": f"{i}.wav", "label": LABELS[i % 3], "target": LABELS[i % 3], "target_probability": 0.9}
        for i in range(6)
    ]
    sounds = {f"{clip}{method}": {"clip": clip, "method": method} for clip in range(6) for method in methods}
    sounds["0recording"] = {"clip": 0, "method": "recording"}
    return {
        "study": "12345678",
        "plan": {"methods": methods, "seed": 0},
        "labels": LABELS,
        "clips": clips,
        "sounds": sounds,
        "listeners": 8,
    }


def rows_of(listener: int, key: dict, hears) -> list[dict]:
    """What a listener answers to the sheet of that number; `hears(clip, method)` is the name given."""
    sheet = draw_sheets(6, 2, 8, seed=0)[listener - 1]
    methods = key["plan"]["methods"]
    common = {"study": key["study"], "listener": listener, "plays": 1, "seconds": 2.5}
    rows = []
    for clip, method in sheet.naming:
        answer = hears(clip, methods[method])
        rows.append(common | {"task": "naming", "sound": f"{clip}{methods[method]}", "answer": answer, "sure": 4})
    for clip, first, second in sheet.comparing:
        names = [f"{clip}{methods[m]}" for m in (first, second)]
        rows.append(
            common | {"task": "comparing", "sound": names[0], "other": names[1], "answer": f"{clip}good", "sure": ""}
        )
    return [row | {"position": i + 1} for i, row in enumerate(rows)]


def save(path, rows: list[dict]):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def always_right_on_good(clip: int, method: str) -> str:
    return LABELS[clip % 3] if method == "good" else LABELS[(clip + 1) % 3] if clip % 2 else ""


@pytest.fixture
def files(tmp_path, key):
    (tmp_path / "key.json").write_text(json.dumps(key))
    return [save(tmp_path / f"{i}.csv", rows_of(i, key, always_right_on_good)) for i in range(1, 9)]


def test_known_answers_give_known_figures(files, key):
    record = score(read_answers(files, key), key)
    assert (record["listeners"], record["named"], record["compared"], record["unfinished"]) == (8, 48, 48, [])
    good, bad = record["methods"]
    assert good["accuracy"] == good["accuracy_by_label"] == (1, 1, 1)
    assert good["preferred"] == good["agreement"] == (1, 1, 1)
    assert good["sure"] == (4, 4, 4)
    assert bad["accuracy"][0] == bad["preferred"][0] == 0
    assert bad["cannot_tell"] == 0.5
    (versus,) = record["comparisons"]
    assert versus["accuracy"] == (1, 1, 1)
    assert (versus["won"], versus["lost"], versus["undecided"]) == (48, 0, 0)
    assert versus["preference_p"] == versus["accuracy_p"] == {"listeners": 2 / 2**8, "clips": 2 / 2**6}
    assert record["first_preferred"] == 0.5


def test_the_command_prints_and_writes_the_figures(files, tmp_path, capsys):
    assert main(["study-score", *map(str, files), "--study", str(tmp_path), "--out", str(tmp_path / "f.json")]) == 0
    said = capsys.readouterr().out
    assert "8 of 8 listeners, 48 sounds named, 48 pairs compared" in said
    assert "good against bad: named +1.00 [+1.00, +1.00] (p 0.0078 over listeners, 0.031 over clips)" in said
    assert json.loads((tmp_path / "f.json").read_text())["methods"][0]["accuracy"] == [1, 1, 1]


def test_one_listener_and_half_a_sheet_are_scored_without_intervals(tmp_path, key, capsys):
    (tmp_path / "key.json").write_text(json.dumps(key))
    path = save(tmp_path / "one.csv", rows_of(1, key, always_right_on_good)[:4])
    assert main(["study-score", str(path), "--study", str(tmp_path), "--out", str(tmp_path / "f.json")]) == 0
    said = capsys.readouterr()
    assert "listeners [1] did not finish" in said.err
    record = json.loads((tmp_path / "f.json").read_text())
    assert record["methods"][0]["accuracy"] == [1, None, None]
    assert record["methods"][0]["preferred"] is record["methods"][0]["agreement"] is record["first_preferred"] is None


def test_agreement_is_krippendorffs(rng):
    # Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), nominal data, two observers: alpha = 0.095
    first, second = "0100000010", "1110010000"
    named = [(clip, name) for pair in (first, second) for clip, name in enumerate(pair)]
    found = agreement(named)
    assert found is not None
    assert found[0] == pytest.approx(0.095, abs=1e-3)
    chance = agreement([(clip, int(rng.integers(3))) for clip, _ in itertools.product(range(200), range(4))])
    assert chance is not None
    assert chance[1] < 0 < chance[2]
    assert agreement([(0, "a"), (1, "b")]) is None  # nobody heard the same
    assert agreement([(0, "a"), (0, "a")]) is None  # nothing to tell apart


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"study": "87654321"}, "line 3: of the study '87654321', not of '12345678'"),
        ({"sound": "nothing"}, "line 3: not what listener 1 was asked at position 2"),
        ({"answer": "maybe"}, "line 3: no label 'maybe'"),
        ({"sure": "9"}, "line 3: sure is '9'; it goes from 1 to 5"),
        ({"sound": "0recording"}, "line 3: not what listener 1 was asked"),
        ({"task": "guessing"}, "line 3: not what listener 1 was asked"),
        ({"listener": ""}, "line 3: listener is ''; it goes from 1 to 8"),
        ({"listener": "01"}, "line 3: listener is '01'"),
        ({"listener": " 1"}, "line 3: listener is ' 1'"),
        ({"listener": "99"}, "line 3: listener is '99'; it goes from 1 to 8"),
        ({"position": "13"}, "line 3: position is '13'; it goes from 1 to 12"),
        ({"position": "1"}, "line 3: the same question once more"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path, key, change, says):
    rows = rows_of(1, key, always_right_on_good)
    rows[1] |= change
    with pytest.raises(StudyError, match=says):
        read_answers([save(tmp_path / "x.csv", rows)], key)


def test_cannot_tell_is_no_name_that_listeners_agree_on(tmp_path, key):
    def hears(clip: int, method: str) -> str:
        return "" if method == "good" else LABELS[clip % 3]

    paths = [save(tmp_path / f"{i}.csv", rows_of(i, key, hears)) for i in range(1, 9)]
    good, bad = score(read_answers(paths, key), key)["methods"]
    assert (good["agreement"], good["cannot_tell"]) == (None, 1)
    assert bad["agreement"] == (1, 1, 1)


def test_files_that_are_no_answers_are_refused(tmp_path, key, files, capsys):
    with pytest.raises(StudyError, match=r"both of listener 1; give one file for each"):
        read_answers([files[0], save(tmp_path / "again.csv", rows_of(1, key, always_right_on_good))], key)
    rows = rows_of(2, key, always_right_on_good)
    with pytest.raises(StudyError, match=r"line 14: the same question once more"):
        read_answers([save(tmp_path / "twice.csv", [*rows, rows[3]])], key)
    (tmp_path / "text.csv").write_text("not answers\n")
    with pytest.raises(StudyError, match="no answers of listeners"):
        read_answers([tmp_path / "text.csv"], key)
    assert main(["study-score", str(tmp_path / "gone.csv"), "--study", str(tmp_path)]) == 1
    assert "gone.csv: cannot be read" in capsys.readouterr().err
    assert main(["study-score", str(files[0]), "--study", str(tmp_path / "nowhere")]) == 1
    assert "give the --out folder of audex study" in capsys.readouterr().err
