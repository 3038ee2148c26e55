"""Who may import whom: the floors of the house, read off the source, and a proof that a breach is found.

core <- io <- data;  core <- codecs, classifiers, attribution <- masking <- explain <- bundles
     <- adapters <- batch, training, evaluation, report, study <- integrations <- cli
"""

import ast
import functools
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

import audex_jax

PACKAGE = pathlib.Path(audex_jax.__file__).parent
ROOT = PACKAGE.parent

MODEL = {"core", "io", "codecs", "classifiers", "attribution", "masking", "explain", "bundles"}
ALLOWED = {  # room -> rooms that it may import beside itself
    "core": set(),
    "io": {"core"},
    "data": {"core", "io"},
    "codecs": {"core", "io"},
    "classifiers": {"core"},
    "attribution": {"core"},
    "masking": {"core", "attribution"},
    "explain": MODEL - {"bundles"},
    "bundles": MODEL,
    "adapters": {*MODEL},
    "devices": {"core"},
    "batch": {*MODEL, "adapters", "data", "devices"},
    "training": {*MODEL, "data", "devices"},
    "report": {*MODEL, "data", "batch"},
    "evaluation": {*MODEL, "adapters", "data", "devices", "report"},
    "study": {*MODEL, "data", "report", "evaluation"},
    "integrations": {*MODEL, "adapters", "batch"},
    "cli": {
        *MODEL,
        "adapters",
        "data",
        "devices",
        "batch",
        "training",
        "report",
        "evaluation",
        "study",
        "integrations",
    },
}
NO_JAX = (  # what the command line reads for its help, and what only handles files
    "core.errors", "core.registry", "core.settings", "io", "data", "batch.plan", "batch.manifest", "batch.read",
    "batch.schema", "batch.store", "batch.merge", "explain.result", "explain.verdict", "adapters.source",
    "evaluation.arms", "evaluation.plan", "evaluation.statistics", "study.design", "study.key", "study.plan",
    "study.score", "training.recipes",
)  # fmt: skip
FOREIGN = {"torch", "transformers", "captum", "tensorflow", "weights_conversion"}
BROUGHT = {  # what they adapt
    "adapters.pytorch": {"torch"},
    "adapters.huggingface": {"torch", "transformers"},
    "adapters.frontends": {"torch", "transformers"},
}
BUILT_ON = {"mimi": {"encodec"}}  # codec families whose layers are those of another
CONVERTER = {"cli.convert", "cli.doctor", "cli.export", "cli.models"}  # commands of weights_conversion


def imports_of(source: str) -> set[str]:
    """Absolute module names that a source imports, at any depth of nesting."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def modules(package: pathlib.Path = PACKAGE) -> dict[str, str]:
    """Source of every module of a package, by its name below the package; the package itself is the empty name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
        found[name] = path.read_text()
    return found


def below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def breaches(module: str, source: str) -> list[str]:
    """Imports of a module that its room does not allow."""
    imported, room = imports_of(source), module.split(".")[0]
    foreign = FOREIGN - ({"weights_conversion"} if module in CONVERTER else set()) - BROUGHT.get(module, set())
    found = [name for name in imported if name.split(".")[0] in foreign]
    if any(below(module, prefix) for prefix in NO_JAX):
        found += [name for name in imported if name.split(".")[0] in ("jax", "flax")]
    inside = [name.removeprefix("audex_jax.") for name in imported if name.startswith("audex_jax.")]
    found += [name for name in inside if name.split(".")[0] not in ALLOWED[room] | {room, "__version__"}]
    if room == "codecs" and module.count("."):  # a family stands alone, or on the one that it is built on
        family = module.split(".")[1]
        families = {path.stem for path in (PACKAGE / "codecs").iterdir()} - {family, "__init__"}
        families -= BUILT_ON.get(family, set())
        found += [name for name in inside if any(below(name, f"codecs.{family}") for family in families)]
    return found


def circle(sources: dict[str, str], package: str) -> list[str]:
    """Modules that import one another in a circle; empty if none do."""
    arrows = {
        name: {
            target
            for imported in imports_of(source)
            if (target := imported.removeprefix(f"{package}.")) in sources and target not in ("", name)
        }
        for name, source in sources.items()
        if name
    }
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return sorted(set(error.args[1]))
    return []


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_every_module_has_a_room_and_imports_only_what_it_may(module):
    assert breaches(module, modules()[module]) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attribution.path", "from audex_jax.codecs.encodec import Encodec"),
        ("explain.step", "from audex_jax.devices.mapping import map_over_devices"),
        ("explain.result", "def f():\n    from audex_jax.report.notebook import explanation_html"),
        ("codecs.mdct", "from audex_jax.codecs.encodec.conv import elu"),
        ("io.audio", "def f():\n    import jax"),
        ("batch", "import torch.nn"),
    ],
)
def test_a_breach_is_found(module, source):
    assert breaches(module, source)


def test_there_are_no_circles():
    for package in (PACKAGE, ROOT / "benchmarks", ROOT / "weights_conversion"):
        assert circle(modules(package), package.name) == []
    pair = {"a": "import house.b", "b": "def f():\n    from house import a", "c": "import house.a"}
    assert circle(pair, "house") == ["a", "b"]


def test_nothing_private_of_jax_is_used():
    """Deprecated names are errors of pytest already; private ones vanish without a warning."""
    for package in (PACKAGE, ROOT / "benchmarks", ROOT / "weights_conversion"):
        assert [name for name, source in modules(package).items() if re.search(r"\b(jax|flax)\._", source)] == []


def test_modules_are_small():
    lengths = sorted(len(source.splitlines()) for name, source in modules().items() if not name.endswith("__init__"))
    assert lengths[-1] <= 350
    assert lengths[len(lengths) // 2] <= 130


def test_nothing_foreign_is_loaded_by_the_library():
    code = (
        "import sys, pkgutil, importlib, audex_jax\n"
        "for m in pkgutil.walk_packages(audex_jax.__path__, 'audex_jax.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print(sorted({'torch', 'transformers', 'captum', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
