"""Every snippet and every command of the README and of the pages in `docs/` runs as it is written."""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from audex_jax.data.inputs import demo_clips

README = pathlib.Path(__file__).parent.parent / "README.md"
STUDY = README.parent / "docs" / "study.md"
PODS = STUDY.with_name("pods.md")
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
pytestmark = [
    pytest.mark.skipif(not README.exists(), reason="the README is only in the source tree"),
    pytest.mark.usefixtures("optimised"),
]
AUDEX = "import sys; from audex_jax.cli import main; sys.exit(main())"


def blocks(language: str, *pages: pathlib.Path) -> list[str]:
    texts = [page.read_text(encoding="utf-8") for page in pages if page.exists()]
    return [block for text in texts for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def commands(page: pathlib.Path = README) -> list[list[str]]:
    """The words of each `audex` command, in the order of the page."""
    lines = [part.strip() for block in blocks("sh", page) for line in block.splitlines() for part in line.split("&&")]
    return [shlex.split(line) for line in lines if line.startswith("audex ")]


def run(command: list[str], folder: pathlib.Path) -> str:
    words = [str(found) for word in command[1:] for found in (sorted(folder.glob(word)) if "*" in word else [word])]
    done = subprocess.run([sys.executable, "-c", AUDEX, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    return done.stdout


def snippets() -> list:
    """Python snippets; those that need PyTorch run where it is installed."""
    found = blocks("python", *PAGES)
    return [pytest.param(code, marks=[pytest.mark.parity] if "import torch" in code else []) for code in found]


@pytest.mark.slow
@pytest.mark.parametrize("code", snippets())
def test_python_snippets_run(code, tmp_path):
    if "import torch" in code:
        pytest.importorskip("torch", reason="needs the extra `torch`")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_main_command_explains_the_demo_clips(tmp_path):
    first = commands()[0]
    assert first[:3] == ["audex", "explain", "demo"]
    said = run(first, tmp_path)
    assert len(list((tmp_path / "explained").glob("*.explanation.wav"))) == len(demo_clips())
    assert "report.html: 4 recordings" in said


@pytest.mark.slow
def test_all_other_commands_run_one_after_the_other(tmp_path):
    """On recordings made of the demo clips, and answers of one listener to the study that the README makes."""
    recordings, rng = tmp_path / "recordings", np.random.default_rng(0)
    for path in demo_clips():
        samples, rate = soundfile.read(path)
        label = path.stem.split("-")[0]  # `stop-fails` is a word, too
        (recordings / label).mkdir(parents=True)
        for number in range(6):
            noise = 0.003 * rng.normal(size=samples.shape)
            soundfile.write(recordings / label / f"{number}.wav", samples + noise, rate)
    shutil.copy(recordings / "yes" / "0.wav", tmp_path / "yes.wav")
    (tmp_path / "answers").mkdir()
    for command in commands()[1:] + commands(STUDY):
        if "--classifier" in command:
            continue
        if command[1] == "study-score":
            answer_everything(tmp_path / "study" / "study.html", tmp_path / "answers" / "1.csv")
        run(command, tmp_path)
    made = ("my-explainer", "explained-by-mine", "job", "explained.parquet", "study")
    assert [name for name in made if not (tmp_path / name).exists()] == []


@pytest.mark.slow
@pytest.mark.parity
def test_classifiers_of_other_libraries_are_explained(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra `torch`")
    transformers = pytest.importorskip("transformers", reason="needs the extra `huggingface`")
    onnx = pytest.importorskip("onnx", reason="a model is made for the test")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    small |= {"conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (10, 8), "num_conv_pos_embeddings": 8}
    labels = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**small, num_conv_pos_embedding_groups=2, classifier_proj_size=8, **labels)
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path / "my-folder")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "my-folder")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.array([[1.0, -1.0]], np.float32), "w")
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=1),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", kind, ["b", "n"])]
    outputs = [helper.make_tensor_value_info("y", kind, ["b", 2])]
    graph = helper.make_graph(nodes, "peaks", inputs, outputs, [weight])
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "model.onnx")
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    shutil.copy(demo_clips()[0], tmp_path / "yes.wav")
    for command in commands():
        if "--classifier" in command:
            run(command, tmp_path)
            assert (tmp_path / command[-1] / "yes.explanation.wav").exists()


def answer_everything(page: pathlib.Path, file: pathlib.Path) -> None:
    """The file of listener 1, who always hears the same and never sees a difference."""
    import csv
    import json

    from audex_jax.study.score import COLUMNS

    study = json.loads(re.search(r'id="study">(.*?)</script>', page.read_text(encoding="utf-8"))[1])
    sheet = study["sheets"][0]
    asked = [("naming", sound, "", study["labels"][0], 1) for sound in sheet["naming"]]
    asked += [("comparing", first, second, "", "") for first, second, *_ in sheet["comparing"]]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(COLUMNS)
        for position, (task, sound, other, answer, sure) in enumerate(asked, start=1):
            writer.writerow([study["study"], 1, position, task, sound, other, answer, sure, 1, 2.0])


def test_commands_of_pods_are_parsed():
    """They need a cluster; the job that they give is run in `tests/batch`."""
    from audex_jax.cli import parser_of

    text = "\n".join(blocks("sh", PODS)).replace("\\\n", " ")
    found = [shlex.split(words) for words in re.findall(r"audex ((?:batch|merge|report) [^\"'>\n]+)", text)]
    assert len(found) >= 7
    for words in found:
        words = ["3" if word.startswith("$") else word for word in words]
        arguments = parser_of((words[0],)).parse_args(words)
        assert arguments.command == words[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pictures_and_files_it_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    for module in re.findall(r"`(audex_jax/[\w/.]+)`", text):
        assert (README.parent / module).exists(), module


def test_every_command_is_in_the_table():
    from audex_jax.cli import COMMANDS

    table = README.read_text(encoding="utf-8").split("## Commands")[1].split("## Many recordings")[0]
    assert [name for name in COMMANDS if not re.search(rf"`audex {name}[` ]", table)] == []
