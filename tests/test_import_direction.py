"""Who may import whom: the arrows of the architecture, read off the source, and a proof that a breach is found."""

import ast
import pathlib
import subprocess
import sys

import pytest

import audex_jax

PACKAGE = pathlib.Path(audex_jax.__file__).parent
ROOT = PACKAGE.parent

# module prefix -> prefixes inside the package that it may import. The longest prefix that matches counts.
ALLOWED = {
    "audex_jax.core.types": (),
    "audex_jax.core.errors": (),
    "audex_jax.codecs.encodec.config": ("audex_jax.core.errors",),
    "audex_jax.codecs.encodec.filtering": ("audex_jax.core.types", "audex_jax.devices.mapping"),
    "audex_jax.core.initializers": ("audex_jax.core.types",),
    "audex_jax.codecs.encodec.conv": ("audex_jax.core.types", "audex_jax.codecs.encodec.filtering", "audex_jax.core.initializers"),
    "audex_jax.codecs.encodec.seanet": (
        "audex_jax.core.types", "audex_jax.codecs.encodec.config", "audex_jax.codecs.encodec.conv", "audex_jax.codecs.encodec.filtering",
        "audex_jax.core.initializers", "audex_jax.devices.mapping",
    ),
    "audex_jax.codecs.encodec.quantizer": ("audex_jax.core.types", "audex_jax.codecs.encodec.config", "audex_jax.core.initializers"),
    "audex_jax.codecs.encodec": ("audex_jax.core.types", "audex_jax.core.errors", "audex_jax.codecs.encodec", "audex_jax.io.audio"),
    "audex_jax.classifiers.attention": ("audex_jax.core.types", "audex_jax.devices.mapping"),
    "audex_jax.classifiers.transformer": ("audex_jax.core.types", "audex_jax.core.errors", "audex_jax.classifiers.attention", "audex_jax.core.initializers"),
    "audex_jax.attribution": ("audex_jax.core.types", "audex_jax.attribution"),
    "audex_jax.masking.edit": ("audex_jax.core.types", "audex_jax.attribution"),
    "audex_jax.masking.optimise": ("audex_jax.core.types", "audex_jax.masking.edit"),
    "audex_jax.io.audio": ("audex_jax.core.errors",),
    "audex_jax.io.progress": (),
    "audex_jax.data": ("audex_jax.core.errors", "audex_jax.io.audio", "audex_jax.data", "audex_jax.io.progress"),
    "audex_jax.bundles": ("audex_jax.core.errors", "audex_jax.codecs.encodec", "audex_jax.classifiers.transformer"),
    "audex_jax.devices.mapping": ("audex_jax.core.errors",),
    "audex_jax.batch.manifest": ("audex_jax.data", "audex_jax.core.errors"),
    "audex_jax.batch.read": ("audex_jax.io.audio", "audex_jax.data.prepared"),
    "audex_jax.batch.schema": (),
    "audex_jax.batch.store": ("audex_jax.batch.manifest", "audex_jax.batch.schema", "audex_jax.core.errors"),
    "audex_jax.batch.merge": ("audex_jax.batch.store",),
    "audex_jax.explain.step": (
        "audex_jax.core.types", "audex_jax.core.errors", "audex_jax.codecs.encodec", "audex_jax.classifiers.transformer", "audex_jax.attribution",
        "audex_jax.masking.edit", "audex_jax.masking.optimise", "audex_jax.core.settings", "audex_jax.devices.mapping",
    ),
    "audex_jax.core.settings": ("audex_jax.core.errors",),
    "audex_jax.io.tensorboard": ("audex_jax.core.errors",),
    "audex_jax.study.design": (),
    "audex_jax.study.key": ("audex_jax.core.errors",),
    "audex_jax.study.plan": (
        "audex_jax.core.errors", "audex_jax.core.settings", "audex_jax.evaluation.plan", "audex_jax.study.design",
    ),
    "audex_jax.study.score": ("audex_jax.evaluation.statistics", "audex_jax.study.key"),
    "audex_jax.report.document": (),
}  # fmt: skip
NO_JAX = (
    "audex_jax.io.audio", "audex_jax.data", "audex_jax.io.progress", "audex_jax.batch.manifest", "audex_jax.batch.read",
    "audex_jax.batch.schema", "audex_jax.batch.store", "audex_jax.batch.merge", "audex_jax.core.settings",
    "audex_jax.io.tensorboard", "audex_jax.study.design", "audex_jax.study.key", "audex_jax.study.plan",
    "audex_jax.study.score", "audex_jax.evaluation.plan", "audex_jax.evaluation.statistics",
)  # fmt: skip
FOREIGN = {"torch", "transformers", "captum", "tensorflow", "weights_conversion"}


def imports_of(source: str) -> set[str]:
    """Absolute module names that a source imports, at any depth of nesting."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def breaches(module: str, source: str) -> list[str]:
    def below(name: str, prefix: str) -> bool:
        return name == prefix or name.startswith(prefix + ".")

    imported = imports_of(source)
    found = [f"{module} imports {name}" for name in imported if name.split(".")[0] in FOREIGN]
    if any(below(module, prefix) for prefix in NO_JAX):
        found += [f"{module} imports {name}" for name in imported if name.split(".")[0] in ("jax", "flax")]
    rules = [prefix for prefix in ALLOWED if below(module, prefix)]
    if rules:
        allowed = ALLOWED[max(rules, key=len)]
        inside = [name for name in imported if name.startswith("audex_jax.")]
        found += [f"{module} imports {name}" for name in inside if not any(below(name, prefix) for prefix in allowed)]
    return found


def modules() -> list[tuple[str, pathlib.Path]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), p) for p in paths]


@pytest.mark.parametrize(("module", "path"), [pytest.param(*m, id=m[0]) for m in modules()])
def test_module_imports_only_what_it_may(module, path):
    allowed_elsewhere = {"audex_jax.cli.convert", "audex_jax.cli.export"}  # commands of the converter
    found = breaches(module, path.read_text())
    if module in allowed_elsewhere:
        found = [breach for breach in found if "weights_conversion" not in breach]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("audex_jax.attribution.rivals", "from audex_jax.codecs.encodec import Encodec"),
        ("audex_jax.io.audio", "def f():\n    import jax"),
        ("audex_jax.codecs.encodec.conv", "from audex_jax.codecs.encodec.model import Encodec"),
        ("audex_jax.batch", "import torch.nn"),
    ],
)
def test_a_breach_is_found(module, source):
    assert breaches(module, source)


def test_nothing_foreign_is_loaded_by_the_library():
    code = (
        "import sys, pkgutil, importlib, audex_jax\n"
        "for m in pkgutil.walk_packages(audex_jax.__path__, 'audex_jax.'):\n"
        "    importlib.import_module(m.name)\n"
        "print(sorted({'torch', 'transformers', 'captum', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
