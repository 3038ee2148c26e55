"""Registries: a folder of the package is a registry, and a file's name is the name of what it holds.

Names are read off the folder, so that `--help` lists them without importing anything. A file that is added is offered
everywhere; what is defined elsewhere is added by `Registry.register`.
"""

import functools
import importlib
import pathlib
from typing import Any

from audex_jax.core.errors import AudexError

ROOT = pathlib.Path(__file__).parents[1]


class Registry:
    """What the files of one folder define.

    >>> "integrated-gradients" in METHODS.names()
    True
    """

    def __init__(self, what: str, folder: str, attribute: str):
        """A registry of the files in `folder` (a dotted name below the package).

        Args:
            what: the noun for errors.
            folder: as in `attribution.methods`.
            attribute: what to take from each file.
        """
        self.what, self.folder, self.attribute = what, folder, attribute
        self.added: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """All names, sorted; files whose name begins with an underscore are not offered."""
        return tuple(sorted(self._files | self.added.keys()))

    @functools.cached_property
    def _files(self) -> frozenset[str]:
        """The names of the folder's files. It is read once: names are asked for with every clip."""
        here = ROOT.joinpath(*self.folder.split("."))
        found = {path.stem for path in here.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
        return frozenset(name.replace("_", "-") for name in found if not name.startswith("_"))

    def __getitem__(self, name: str) -> Any:
        """What is registered under a name.

        Raises:
            AudexError: nothing is; lists what there is.
        """
        if name in self.added:
            return self.added[name]
        self.check(name)
        module = importlib.import_module(f"audex_jax.{self.folder}.{name.replace('-', '_')}")
        return getattr(module, self.attribute)

    def check(self, name: str) -> None:
        """Refuse an unknown name without importing what is behind a known one.

        Raises:
            AudexError: nothing has that name.
        """
        if name not in self.names():
            raise AudexError(f"no {self.what} {name!r}; choose one of {', '.join(self.names())}")

    def register(self, name: str, value: Any) -> None:
        """Add what is defined outside the package, for this process.

        Raises:
            AudexError: the name is taken.
        """
        if name in self.names():
            raise AudexError(f"{self.what} {name!r} exists already; choose another name")
        self.added[name] = value


METHODS = Registry("attribution method", "attribution.methods", "attribute")
RANKINGS = Registry("ranking", "masking.rankings", "score")
CODECS = Registry("codec family", "codecs", "FAMILY")
CLASSIFIERS = Registry("classifier family", "classifiers", "FAMILY")
METRICS = Registry("metric", "explain.metrics", "measure")
