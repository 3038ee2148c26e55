"""The whole evaluation on a tiny model with random weights: figures do not depend on how they are computed."""

import dataclasses
import json

import jax
import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from audex_jax.bundles import save_explainer
from audex_jax.cli import main
from audex_jax.cli.evaluate import log_evaluation
from audex_jax.core.settings import Settings
from audex_jax.data.clips import read_clips
from audex_jax.data.folder import read_folder
from audex_jax.evaluation import Plan, blocks, evaluate, run, summarise
from audex_jax.evaluation.plan import Row
from audex_jax.evaluation.run import choose, other_clip
from audex_jax.explain.model import DOMAINS
from audex_jax.explain.step import explain_step
from audex_jax.io.tensorboard import RunLog

PLAN = Plan(
    methods=("weighted", "random", "waveform-ig"),
    fillers=("zero", "noise", "other"),
    levels=(0.2, 0.5),
    seeds=2,
    steps=4,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for label in ("down", "left", "up"):
        (root / label).mkdir()
    lines = ["file,label,speaker,split"]
    for i in range(9):
        label = ("down", "left", "up")[i % 3]
        n = (1000, 730)[i % 2]
        tone = np.sin(np.arange(n) * rng.uniform(0.1, 2)) * np.hanning(n)
        soundfile.write(root / label / f"{i}.wav", 0.1 * tone + 0.01 * rng.normal(size=n), 1000)
        lines.append(f"{label}/{i}.wav,{label},s{i % 4},test")
    soundfile.write(root / "up" / "silence.wav", np.zeros(500), 1000)
    lines.append("up/silence.wav,up,s0,test")
    (root / "splits.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def files(data):
    return choose(read_folder(data).split("test"), None)


@pytest.fixture(scope="module")
def scores(tiny_explainer, files):
    return evaluate(tiny_explainer, files, PLAN)


@pytest.fixture(scope="module")
def model(tiny_explainer, tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_explainer(directory, tiny_explainer, {"made_by": "test"})
    return str(directory)


def same(one, other):
    np.testing.assert_array_equal(one.edited_label, other.edited_label)
    np.testing.assert_allclose(one.edited_probability, other.edited_probability, atol=2e-6)


@pytest.mark.slow
def test_every_curve_is_there_and_silence_is_left_out(scores):
    assert scores.silent == 1
    counts = {"weighted": 1 + 2 + 2, "random": 2 + 2 + 2, "waveform-ig": 1}
    assert {m: sum(row.method == m for row in PLAN.rows) for m in PLAN.methods} == counts
    assert scores.edited_label.shape == (9, sum(counts.values()), 4, 2, len(DOMAINS))
    assert Row("waveform-ig", "silence", 0) in PLAN.rows


def test_both_ends_are_the_clip_and_the_filler(scores):
    rows = PLAN.rows
    latent = [i for i, row in enumerate(rows) if row.filler != "silence"]
    whole = scores.edited_probability[:, latent][:, :, -1, 0, :2]
    np.testing.assert_allclose(whole, np.broadcast_to(scores.probability[:, None], whole.shape), atol=1e-6)
    keep, delete = scores.edited_probability[..., 0, :], scores.edited_probability[..., 1, :]
    np.testing.assert_array_equal(keep[:, latent, 0], delete[:, latent, -1])
    np.testing.assert_array_equal(keep[:, latent, -1], delete[:, latent, 0])
    zero = rows.index(Row("weighted", "zero", 0)), rows.index(Row("random", "zero", 1))
    np.testing.assert_array_equal(keep[:, zero[0], 0], keep[:, zero[1], 0])


@pytest.mark.parametrize("chunk", [1, pytest.param(7, marks=pytest.mark.slow), 1000])
def test_the_chunk_changes_nothing(tiny_explainer, files, scores, chunk):
    some = evaluate(tiny_explainer, files[:3], PLAN, chunk=chunk)
    known = [scores.files.index(name) for name in some.files]
    fixed = [i for i, row in enumerate(PLAN.rows) if row.filler != "other"]  # its pool is the clips evaluated
    np.testing.assert_array_equal(some.edited_label[:, fixed], scores.edited_label[known][:, fixed])
    np.testing.assert_allclose(some.edited_probability[:, fixed], scores.edited_probability[known][:, fixed], atol=2e-6)


@pytest.mark.slow
def test_several_devices_change_nothing(tiny_explainer, files):
    plan = Plan(methods=("weighted", "random"), fillers=("noise",), levels=(0.3,), seeds=1, steps=4)
    one, two = (evaluate(tiny_explainer, files[:5], plan, devices=jax.local_devices()[:n]) for n in (1, 2))
    same(one, two)


def test_the_order_of_levels_and_of_methods_changes_nothing(tiny_explainer, files, scores):
    plan = dataclasses.replace(PLAN, methods=("random", "weighted"), fillers=("noise", "zero"), levels=(0.5,))
    other = evaluate(tiny_explainer, files, plan)
    for i, row in enumerate(plan.rows):
        j = PLAN.rows.index(row)
        np.testing.assert_array_equal(other.edited_label[:, i, 1], scores.edited_label[:, j, 2])


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param("matched-mask", "integrated-gradients", marks=pytest.mark.slow),
        ("saliency:weighted", "saliency"),
    ],
)
def test_it_measures_what_explain_hands_out(tiny_explainer, files, name, method):
    """The published path, `explain_step`, gives the same classes for the same settings."""
    audio, lengths = tiny_explainer.pad(read_clips([f.path for f in files], 1000, quiet=True))
    loud = [i for i in range(len(files)) if np.abs(audio[i]).max() > 0]
    ranking = name.split(":")[-1]
    settings = Settings(keep=0.2, method=method, ranking=ranking, steps=4, mask_steps=1)
    batch = explain_step(tiny_explainer.model, audio[loud], lengths[loud], np.full(len(loud), -1), settings)
    found = evaluate(tiny_explainer, files, Plan((name,), ("zero",), (0.2,), seeds=1, steps=4, mask_steps=1))
    labels = batch.sounds.logits.argmax(-1)
    np.testing.assert_array_equal(np.moveaxis(found.edited_label[:, 0, 1], -1, 1), labels[:, :, 1:])
    np.testing.assert_array_equal(found.reconstructed, labels[:, DOMAINS.index("audio"), 0])


def test_random_orders_differ_between_seeds_and_clips_alone(tiny_explainer, files, scores):
    again = evaluate(tiny_explainer, files, PLAN)
    same(again, scores)
    rows = [PLAN.rows.index(Row("random", "zero", seed)) for seed in (0, 1)]
    one, other = (scores.edited_probability[:, row, 1:3] for row in rows)
    assert np.abs(one - other).max() > 1e-5


def test_the_other_clip_has_another_label(files):
    for i in range(len(files)):
        assert files[other_clip(files, i, 0)].label != files[i].label


def test_input_methods_have_no_latent(scores):
    row = PLAN.rows.index(Row("waveform-ig", "silence", 0))
    assert (scores.edited_label[:, row, :, :, 0] == -1).all()
    assert np.isnan(scores.agrees[:, row, :, :, 0]).all()
    whole = scores.edited_probability[:, row, -1, 0, 1]
    np.testing.assert_allclose(whole, scores.probability[:, 1], atol=1e-5)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(tiny_explainer, files, scores, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 2)
    real, scored = run.Evaluator.score, []

    def score(self, audio, length, others, number):
        if number == stop:
            raise KeyboardInterrupt
        scored.append(number)
        return real(self, audio, length, others, number)

    monkeypatch.setattr(run.Evaluator, "score", score)
    stop = 5
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_explainer, files, PLAN, tmp_path / "s")
    stop = None
    same(evaluate(tiny_explainer, files, PLAN, tmp_path / "s"), scores)
    assert scored == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]  # two blocks of two were kept
    evaluate(tiny_explainer, files, dataclasses.replace(PLAN, methods=("random",), seeds=1), tmp_path / "s")
    assert len(scored) == 10 + 9  # another plan starts anew


@pytest.mark.slow
def test_the_command_writes_what_it_says(data, model, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["evaluate", str(data), "--model", model, "--out", str(out), "--methods", "weighted,random", "--quiet"]
    given += ["--devices", "1"]
    assert main([*given, "--levels", "0.2,0.5", "--seeds", "2", "--steps", "4", "--fillers", "zero"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["curves.png", "fidelity.json", "fidelity.parquet"]
    record = json.loads((out / "fidelity.json").read_text())
    table = pyarrow.parquet.read_table(out / "fidelity.parquet").to_pydict()
    assert len(table["file"]) == 9 * 3 * 4 * 2
    chosen = [
        agrees
        for agrees, method, level, mode in zip(
            table["audio_agrees"], table["method"], table["level"], table["mode"], strict=True
        )
        if (method, level, mode) == ("weighted", 0.2, "keep")
    ]
    (curve,) = [c for c in record["curves"] if (c["method"], c["mode"], c["domain"]) == ("weighted", "keep", "audio")]
    assert curve["agreement"][1] == pytest.approx(np.mean(chosen))
    assert record["speakers"] == 4
    assert record["resampled"] == "speakers"
    assert set(curve["low"]) == {None}  # four speakers tell no interval
    comparison = record["comparisons"][0]
    assert [comparison[name] for name in ("against", "low", "p", "p_holm")] == ["random", None, None, None]
    controls = record["controls"]
    assert (controls["settings"]["ranking"], controls["floor_keep"]["clips"]) == ("weighted", 9)
    said = capsys.readouterr().out
    assert f"{curve['agreement'][1]:.3f}" in said
    assert f"shuffled weights, keep: {controls['keep']['mean']:.3f}" in said


def test_curves_are_logged_with_the_share_as_step(scores, tmp_path, logged):
    record = summarise(scores)
    with RunLog(str(tmp_path)) as log:
        log_evaluation(log, record)
    found = logged(tmp_path)
    (curve,) = [
        c for c in record["curves"] if [c[k] for k in ("method", "filler", "mode", "domain")] == [
            "weighted", "zero", "keep", "audio"]
    ]  # fmt: skip
    assert curve["level"][1] == 0.2
    assert found["keep-audio/weighted-zero", 20].simple_value == pytest.approx(curve["agreement"][1])
    assert found["ceiling/accuracy", 0].simple_value == pytest.approx(record["ceiling"]["accuracy"]["mean"])
    assert found["curves", 0].image.encoded_image_string.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--methods", "best"], 2, "no method 'best'; choose from absolute"),
        (["--fillers", "pink"], 2, "no filler 'pink'"),
        (["--levels", "0.2,0.1"], 2, "must rise"),
        (["--levels", "a"], 2, "'a' is not a number"),
        (["--seeds", "0"], 2, "seeds is 0"),
        (["--limit", "0"], 2, "--limit"),
        (["--devices", "0"], 2, "--devices"),
        (["--split", "val"], 1, "no clips in the val split"),
        (["--model", "nothing"], 1, "not a bundle"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(data, model, tmp_path, capsys, options, code, says):
    given = ["evaluate", str(data), "--model", model, "--out", str(tmp_path / "out"), *options]
    assert main(given) == code
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_summary_compares_the_first_method_with_the_others(scores):
    summary = summarise(scores)
    assert {c["against"] for c in summary["comparisons"]} == {"random", "waveform-ig"}
    metrics = next(m for m in summary["metrics"] if m["method"] == "weighted" and m["domain"] == "audio")
    row = PLAN.rows.index(Row("weighted", "zero", 0))
    residual = scores.edited_probability[:, row, 1, 1, 1].astype(float)
    assert metrics["FF"]["0.2"] == pytest.approx((scores.probability[:, 1] - residual).mean(), abs=1e-6)


def test_comparisons_of_one_summary_are_a_family(scores, rng):
    drawn = np.where(scores.edited_label < 0, -1, rng.integers(3, size=scores.edited_label.shape))
    record = summarise(dataclasses.replace(scores, speakers=(None,) * 9, edited_label=drawn))
    assert record["resampled"] == "clips"
    found = [c for c in record["comparisons"] if c["p"] is not None]
    assert all(c["low"] <= c["difference"] <= c["high"] and c["p"] <= c["p_holm"] for c in found)
    least = min(found, key=lambda c: c["p"])
    assert least["p_holm"] == pytest.approx(min(1, len(found) * least["p"]))
