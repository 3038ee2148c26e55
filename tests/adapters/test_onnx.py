"""ONNX models as functions without gradients."""

import numpy as np
import pytest

from audex_jax.adapters.onnx import OnnxFunction, from_onnx
from audex_jax.core.errors import AudexError

onnx = pytest.importorskip("onnx", reason="needs the extra `parity`")
pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
pytestmark = pytest.mark.parity  # where the libraries for it are installed
RATE = 1000
LABELS = ("quiet", "loud")
FLOAT = onnx.TensorProto.FLOAT


def save(path, shape, result=("b", 2), kind=FLOAT, more=()):
    """A model of the energy: outputs 0.1 and the mean square of what it is given."""
    helper = onnx.helper
    nodes = [
        helper.make_node("Cast", ["audio"], ["own"], to=FLOAT),
        helper.make_node("Mul", ["own", "own"], ["square"]),
        helper.make_node("ReduceMean", ["square", "axes"], ["energy"], keepdims=int(len(shape) == len(result))),
        helper.make_node("Mul", ["energy", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "limit"], ["quiet"]),
        helper.make_node("Concat", ["quiet", "energy"], ["logits"], axis=-1),
    ]
    fixed = [
        helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [len(shape) - 1]),
        helper.make_tensor("zero", FLOAT, [1], [0.0]),
        helper.make_tensor("limit", FLOAT, [1], [0.1]),
    ]
    inputs = [helper.make_tensor_value_info("audio", kind, shape)]
    inputs += [helper.make_tensor_value_info(name, FLOAT, [2, 1, 128]) for name in more]
    outputs = [helper.make_tensor_value_info("logits", FLOAT, result)]
    graph = helper.make_graph(nodes, "energy", inputs, outputs, fixed)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        (("b", "n"), ("b", 2)),
        ((1, "n"), (1, 2)),
        ((2, "n"), (2, 2)),
        ((1, 800), (1, 2)),
        (("n",), (2,)),
        ((800,), (2,)),
        (("b", 1, "n"), ("b", 2)),
        (("b", "c", "n"), ("b", 2)),
        (("b", 1, "n"), ("b", 1, 2)),
    ],
)
def test_shapes(shape, result, tmp_path, rng):
    model = OnnxFunction(save(tmp_path / "model.onnx", shape, result))
    audio = rng.normal(size=(3, 500)).astype(np.float32)
    samples = 800 if shape[-1] == 800 else 500
    expected = np.stack([np.full(3, 0.1), (audio**2).sum(1) / samples], -1)
    found = model(audio)
    assert found.shape == ((3, 1, 2) if len(result) == 3 else (3, 2))
    np.testing.assert_allclose(found.reshape(3, 2), expected, rtol=1e-5)


def test_explains(tmp_path, rng):
    """What is loud is found where it is: in the first of two halves."""
    clip = (rng.uniform(-1, 1, size=1000) * np.where(np.arange(1000) < 500, 0.95, 0.1)).astype(np.float32)
    explainer = from_onnx(save(tmp_path / "model.onnx", ("b", "n")), LABELS, RATE, clip_seconds=1.0)
    found = explainer.explain(clip, control=False, budget=128, keep=0.5)
    assert (found.prediction, found.sufficient) == ("loud", True)
    first, second = np.array_split(found.attribution.sum(1), 2)
    assert first.sum() > 3 * abs(second.sum())


def test_the_longest_clip_is_that_of_the_model(tmp_path, rng):
    path = save(tmp_path / "model.onnx", (1, 300), (1, 2))
    assert from_onnx(path, LABELS, RATE).clip_seconds == 0.3
    with pytest.raises(AudexError, match=r"the model takes 0\.3 s of audio, not 0\.5 s"):
        from_onnx(path, LABELS, RATE, clip_seconds=0.5)
    model, audio = OnnxFunction(path), rng.normal(size=(1, 302)).astype(np.float32)
    np.testing.assert_array_equal(model(audio[:, :301]), model(audio[:, :300]))
    with pytest.raises(AudexError, match="takes 300 samples, not 302"):
        model(audio)


def test_fingerprints_are_those_of_the_files(tmp_path):
    first = OnnxFunction(save(tmp_path / "a.onnx", ("b", "n"))).fingerprint
    assert OnnxFunction(save(tmp_path / "b.onnx", ("b", "n"))).fingerprint == first
    (tmp_path / "a.onnx.data").write_bytes(b"weights")
    assert OnnxFunction(tmp_path / "a.onnx").fingerprint != first


@pytest.mark.parametrize(
    ("shape", "options", "said"),
    [
        (("b", "n"), {"more": ["state"]}, r"asks for 2 inputs \(audio, state\); audio is likely 'audio'; .* resets it"),
        (("b", "n"), {"kind": onnx.TensorProto.INT16}, r"the input 'audio' is tensor\(int16\) of shape \['b', 'n'\]"),
        (("b", 80, "n"), {"result": ("b", 80, 2)}, r"of shape \['b', 80, 'n'\], not audio"),
    ],
)
def test_models_that_are_refused(shape, options, said, tmp_path):
    path = save(tmp_path / "model.onnx", shape, **options)
    with pytest.raises(AudexError, match=said) as error:
        from_onnx(path, LABELS, RATE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file"), (b"not a model", "cannot open it as an ONNX model")]
)
def test_files_that_are_refused(content, said, tmp_path):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudexError, match=said) as error:
        from_onnx(path, LABELS, RATE)
    assert "\n" not in str(error.value)


def test_without_onnxruntime(tmp_path, monkeypatch):
    path = save(tmp_path / "model.onnx", ("b", "n"))
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(AudexError, match=r"pip install 'audex-jax\[onnx\]'"):
        from_onnx(path, LABELS, RATE)
