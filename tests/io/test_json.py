"""JSON knows no number that is not finite: none is written, wherever it would be."""

import ast
import math
import pathlib

import pytest

import audex_jax
from audex_jax.core.errors import AudexError
from audex_jax.io.atomic import write_json
from audex_jax.io.files import json_object

ROOT = pathlib.Path(audex_jax.__file__).parents[1]


def test_all_json_that_is_written_is_strict():
    lax = []
    for path in (path for room in ("audex_jax", "weights_conversion") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.dumps", "json.dump")
            if called and not any(word.arg == "allow_nan" for word in node.keywords):
                lax.append(f"{path.name}:{node.lineno}")
    assert lax == []


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    for value in (math.nan, math.inf):
        with pytest.raises(AudexError, match="not finite"):
            write_json(tmp_path / "x.json", {"a": [value]})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "x.json", {"a": [1.5]})
    assert json_object(tmp_path / "x.json")["a"] == [1.5]
