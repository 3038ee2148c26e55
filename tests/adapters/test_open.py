"""One way to explainers of every kind of classifier that has a file."""

import pytest

from audex_jax.adapters import open as opening
from audex_jax.adapters.source import Source
from audex_jax.core.errors import AudexError


@pytest.mark.parametrize(
    ("name", "adapter", "given"),
    [
        ("hf:some/folder", "from_huggingface", ("some/folder",)),
        ("model.onnx", "from_onnx", ("model.onnx", ["a", "b"], 8000)),
        ("model.PT", "from_torchscript", ("model.PT", ["a", "b"], 8000)),
    ],
)
@pytest.mark.parametrize("seconds", [None, 2.0])
def test_who_opens_what(name, adapter, given, seconds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name.replace("/", "-")).touch()
    told = []
    monkeypatch.setattr(opening, adapter, lambda *args, **options: told.append((args, options)))
    opening.open_explainer(Source(name, "a,b", 8000, clip_seconds=seconds, codec="mdct:8000"))
    ((args, options),) = told
    assert args == given
    assert options["codec"] == "mdct:8000"
    assert options.get("clip_seconds") == seconds


@pytest.mark.parametrize("name", ["model.onnx", "model.pt"])
def test_a_missing_file(name):
    with pytest.raises(AudexError, match=f"{name}: no such file"):
        opening.open_explainer(Source(name, "a,b", 8000))
