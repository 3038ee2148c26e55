"""Records, tables, answers and runs that somebody changed: each gives a result or one line, never a wrong result."""

import copy
import csv
import io
import json
import math
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audex_jax.batch.manifest import Manifest
from audex_jax.batch.merge import merge
from audex_jax.batch.schema import REJECTS, result_schema
from audex_jax.batch.store import Store, StoreError, load_store, open_store
from audex_jax.core.errors import AudexError
from audex_jax.core.settings import Settings
from audex_jax.explain.result import columns
from audex_jax.io.audio import write_audio
from audex_jax.report.document import embed
from audex_jax.report.files import explain_files
from audex_jax.report.folder import read_clip
from audex_jax.report.page import Index, write_report
from audex_jax.report.record import ReportError
from audex_jax.report.table import read_clips
from audex_jax.study.design import draw_sheets
from audex_jax.study.key import read_key
from audex_jax.study.score import COLUMNS, read_answers, score

pytestmark = pytest.mark.attack
JUNK = (
    None, True, -1, 0, 1, 0.5, 1e308, -1e308, 2**70, math.nan, math.inf, "", "x" * 100_000, [], {}, [[[]]], "NaN",
    "</script><img src=x onerror=alert(1)>", "\x1b[31m\x07", "../../etc/passwd", "/dev/zero", {"a": {"b": [1]}}, [None],
)  # fmt: skip


def places(tree, path: tuple = ()) -> list[tuple]:
    """The paths of all values in a tree of JSON."""
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found += places(value, (*path, key))
    return found


def changed(tree: dict, rng: np.random.Generator) -> dict:
    """A copy in which one value is gone, or is another."""
    tree, paths = copy.deepcopy(tree), places(tree)
    *parents, last = paths[rng.integers(len(paths))]
    at = tree
    for key in parents:
        at = at[key]
    if rng.random() < 0.2:
        del at[last]
    elif rng.random() < 0.3 and type(at[last]) in (int, float):
        at[last] *= float(rng.choice([-1, 0, 1.5, 100]))
    elif type(at[last]) is bool and rng.random() < 0.5:
        at[last] = not at[last]
    else:
        at[last] = JUNK[rng.integers(len(JUNK))]
    return tree


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of which some are others, gone, or twice."""
    data, at = bytearray(data), int(rng.integers(len(data)))
    length = int(rng.integers(1, 64))
    match int(rng.integers(4)):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            del data[at:]
        case 2:
            data[at : at + length] = rng.bytes(length)
        case _:
            data[at:at] = data[at : at + length]
    return bytes(data)


def one_line(error: BaseException) -> None:
    assert isinstance(error, AudexError)
    assert "\n" not in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 3000


@pytest.fixture(scope="module")
def explained(mdct_explainer, tmp_path_factory) -> pathlib.Path:
    """What `audex explain` writes of one recording."""
    folder = tmp_path_factory.mktemp("explained")
    write_audio(folder / "one.wav", 0.1 * np.random.default_rng(0).normal(size=800), 1000)
    (folder / "out").mkdir()
    settings = Settings(steps=8, ranking="weighted")
    (result,) = explain_files(mdct_explainer, [folder / "one.wav"], folder / "out", None, settings, "tiny", (0.1,))
    assert result.error is None
    return folder / "out"


def shown(path: pathlib.Path) -> dict | None:
    """What the report makes of a record, but for what it only repeats; None if it refuses it in one line."""
    try:
        clip = read_clip(path)
    except ReportError as error:
        return one_line(error)
    index = Index()
    embed(index.add(clip))
    embed(index.content(None))
    judged = [column.name for column in columns()]
    levels = [{name: level[name] for name in judged if name in level} for level in clip.levels]
    return {name: clip.record[name] for name in judged} | {"levels": levels, "tracks": clip.sounds}


@pytest.mark.parametrize("seed", range(3))
def test_changed_records(explained, seed):
    path = explained / "one.json"
    text, right = path.read_text(), shown(path)
    assert right is not None
    rng, refused = np.random.default_rng(seed), 0
    try:
        for number in range(100):
            if number % 4:
                path.write_text(json.dumps(changed(json.loads(text), rng)))
            else:
                path.write_bytes(damaged(text.encode(), rng))
            found = shown(path)
            refused += found is None
            if found is not None:
                found["tracks"].setdefault("original", right["tracks"]["original"])  # it may be shown no longer
                assert found == right
    finally:
        path.write_text(text)
    assert refused > 50


def test_changed_files_beside_a_record(explained):
    rng, path = np.random.default_rng(7), explained / "one.json"
    for file in (
        explained / "one.attribution.npz",
        explained / "one.explanation.wav",
        explained / "one.residual-10.wav",
    ):
        whole = file.read_bytes()
        for _ in range(25):
            mutant = damaged(whole, rng)
            file.write_bytes(mutant)
            assert mutant == whole or shown(path) is None
        file.write_bytes(whole)
    assert shown(path) is not None


def test_one_bad_record_does_not_end_the_report(explained, tmp_path):
    for path in explained.iterdir():
        shutil.copy(path, tmp_path)
        if path.suffix != ".png":
            (tmp_path / path.name.replace("one", "bad")).write_bytes(path.read_bytes()[:-30])
    written = write_report(tmp_path, tmp_path / "report.html")
    assert (written.clips, len(written.faults)) == (1, 1)


NAMES = tuple(f"{i}.wav" for i in range(40))
MANIFEST = Manifest(NAMES, NAMES, (None,) * 40)
RUN = {"settings": {"keep": 0.2}, "shard_clips": 20, "manifest": {"clips": 40, "sha256": MANIFEST.fingerprint}}


@pytest.fixture
def store(tmp_path) -> Store:
    """A finished job of two shards."""
    store = open_store(tmp_path / "out", RUN, MANIFEST, {"model": "x"})
    schema = result_schema(1000, elements=0)
    for shard in range(2):
        rows = [
            {
                "id": name,
                "path": name,
                "segment": 0,
                "prediction": "yes",
                "audio": {"bytes": name.encode() * 9, "path": ""},
            }
            for name in sorted(NAMES)[20 * shard : 20 * shard + 19]
        ]
        reject = {"id": sorted(NAMES)[20 * shard + 19], "path": "", "label": None, "reason": "gone"}
        store.commit(shard, 20, pa.Table.from_pylist(rows, schema), pa.Table.from_pylist([reject], REJECTS))
    assert merge(store, tmp_path / "all.parquet") == 38
    return store


def test_no_single_bit_of_a_part_goes_unnoticed(store, tmp_path):
    rng, unnoticed = np.random.default_rng(3), 0
    names = (store.part(0), store.part(1), store.rejects(0), store.rejects(1))
    for path in (store.place.root / name for name in names):
        whole = path.read_bytes()
        for number, at in enumerate(rng.choice(8 * len(whole), 250, replace=False)):
            data = bytearray(whole)
            data[at // 8] ^= 1 << int(at % 8)
            path.write_bytes(data)
            unnoticed += store.counts(0) is not None and store.counts(1) is not None
            if number % 25 == 0:
                with pytest.raises(StoreError, match="damaged"):
                    merge(store, tmp_path / "all.parquet")
        path.write_bytes(whole)
    assert unnoticed == 0
    assert merge(store, tmp_path / "all.parquet") == 38


def test_changed_runs(store):
    """`about` decides nothing; all else is the run, or another one."""
    rng, path = np.random.default_rng(4), store.place.root / "run.json"
    text = path.read_text()
    for number in range(80):
        path.write_bytes(
            json.dumps(changed(json.loads(text), rng)).encode() if number % 2 else damaged(text.encode(), rng)
        )
        try:
            assert open_store(store.place.root, RUN, MANIFEST, {}) == store
            assert load_store(store.place.root) == store
        except StoreError as error:
            one_line(ReportError(str(error)))
    path.write_text(text)


def test_changed_tables_in_a_report(store, tmp_path):
    rng, path = np.random.default_rng(5), tmp_path / "all.parquet"
    whole = path.read_bytes()
    for _ in range(60):
        path.write_bytes(damaged(whole, rng))
        for found in read_clips([path]):
            one_line(found)  # the made-up rows hold no whole explanation in any case


@pytest.fixture
def study(tmp_path) -> tuple[pathlib.Path, list[dict]]:
    """The key of a study, and what its first listener answered."""
    labels, methods = ["no", "yes"], ["good", "bad"]
    sounds = {f"{c:04x}{m}": {"clip": c, "method": name} for c in range(4) for m, name in enumerate(methods)}
    clips = [{"file": f"{c}.wav", "label": labels[c % 2], "target": labels[c % 2]} for c in range(4)]
    key = {"study": "12345678", "plan": {"methods": methods, "seed": 0}, "labels": labels, "clips": clips}
    (tmp_path / "key.json").write_text(json.dumps(key | {"sounds": sounds, "listeners": 4}))
    sheet, rows = draw_sheets(4, 2, 4, 0)[0], []
    for clip, method in sheet.naming:
        rows.append({"task": "naming", "sound": f"{clip:04x}{method}", "other": "", "answer": "yes", "sure": "3"})
    for clip, one, other in sheet.comparing:
        pair = {"sound": f"{clip:04x}{one}", "other": f"{clip:04x}{other}"}
        rows.append({"task": "comparing"} | pair | {"answer": pair["other"], "sure": ""})
    common = {"study": "12345678", "listener": "1", "plays": "1", "seconds": "2"}
    return tmp_path, [common | row | {"position": str(number)} for number, row in enumerate(rows, start=1)]


def scored(folder: pathlib.Path, content: bytes) -> dict | None:
    (folder / "1.csv").write_bytes(content)
    try:
        key = read_key(folder)
        answers = read_answers([folder / "1.csv"], key)
        asked = [(n.clip, n.method) for n in answers.naming]
        assert len(set(asked)) == len(asked) <= 4
        return score(answers, key)
    except AudexError as error:
        return one_line(error)


def as_csv(rows: list[dict]) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode("utf-8", "surrogatepass")


def test_changed_answers_and_keys(study):
    folder, rows = study
    rng, text = np.random.default_rng(6), (folder / "key.json").read_text()
    cells = ["", " 1", "01", "99", "2", "yes", "no", "5", rows[0]["sound"], "\x1b[31m", "-1", "1e9"]
    right = scored(folder, as_csv(rows))
    assert right is not None
    for _ in range(100):
        mutant = copy.deepcopy(rows)
        row, column = mutant[rng.integers(len(rows))], COLUMNS[rng.integers(len(COLUMNS))]
        row[column] = str(rng.choice(cells))
        found = scored(folder, as_csv(mutant))
        if found is not None and column not in ("answer", "sure"):
            assert repr(found) == repr(right)
    for _ in range(50):
        scored(folder, damaged(as_csv(rows), rng))
    for number in range(80):
        key = changed(json.loads(text), rng)
        (folder / "key.json").write_bytes(json.dumps(key).encode() if number % 4 else damaged(text.encode(), rng))
        scored(folder, as_csv(rows))


def test_a_changed_merged_table_is_still_read_by_its_checksums(store, tmp_path):
    path = tmp_path / "all.parquet"
    assert pq.read_table(path, page_checksum_verification=True).num_rows == 38
