"""`audex doctor`: what is installed, what is missing, and how to get it."""

import argparse
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from audex_jax.io.files import json_text

EXAMPLE = """
Each line says ok, note (something optional is missing; how to get it) or BAD (something that explaining needs does not
work; what to do). The exit code is 1 if anything is BAD. Send the output along when you report a fault.

examples:
  audex doctor
  audex doctor --json
"""

NEEDED = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "soundfile",
    "soxr",
    "safetensors",
    "matplotlib",
)
OPTIONAL = {
    "torch": ("read .th, .pt and .bin checkpoints, and classifiers in PyTorch", "torch"),
    "transformers": ("open Hugging Face's classifiers", "huggingface"),
    "onnxruntime": ("open classifiers in ONNX", "onnx"),
    "huggingface_hub": ("fetch published models by their hub id", "hub"),
    "av": ("read m4a, mp4 and webm", "formats"),
    "fsspec": ("read and write gs:// and s3:// addresses", "cloud"),
    "ray": ("run jobs on a cluster with audex batch --engine ray", "ray"),
    "datasets": ("load a job's results with datasets", "tables"),
    "tensorflow": ("write data sets with audex prepare", "prepare"),
    "tensorboardX": ("log trainings and evaluations for TensorBoard", "tensorboard"),
}  # a module, what it is for, and the extra that installs it


class Finding(NamedTuple):
    """What was looked at, how it is (`ok`, `note` or `BAD`), and what was seen or is to be done."""

    what: str
    state: str
    text: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `audex doctor` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("--json", action="store_true", help="print findings as JSON lines instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Carry out `audex doctor`; the exit code."""
    bad = 0
    for finding in findings():
        bad += finding.state == "BAD"
        print(json_text(finding._asdict()) if arguments.json else "{1:4}  {0:22} {2}".format(*finding))
    return 1 if bad else 0


def findings() -> Iterator[Finding]:
    """Everything that is checked, in the order in which a newcomer would ask."""
    yield from _versions()
    yield _devices()
    yield _audio_formats()
    yield from _models()
    yield _codecs()
    yield from _folders()
    packages = importlib.metadata.packages_distributions()
    for module, (use, extra) in OPTIONAL.items():
        found = importlib.util.find_spec(module) is not None
        package = packages.get(module, [module])[0]
        how = f"pip install 'audex-jax[{extra}]'"
        text = f"{importlib.metadata.version(package)}: can {use}" if found else f"missing; to {use}: {how}"
        yield Finding(module, "ok" if found else "note", text)


def _versions() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("python", "ok", f"{platform.python_version()} on {system}")
    for package in ("audex-jax", *NEEDED):
        try:
            yield Finding(package, "ok", importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "BAD", "missing; install again with: pip install --force-reinstall audex-jax")


def _devices() -> Finding:
    try:
        import jax

        devices = jax.devices()
    except Exception as error:  # whatever keeps a backend from starting is what the user has to read
        return Finding("devices", "BAD", f"JAX finds none ({str(error).splitlines()[0]}); try JAX_PLATFORMS=cpu")
    kinds = sorted({f"{device.platform} ({device.device_kind})" for device in devices})
    return Finding("devices", "ok", f"{len(devices)}: {', '.join(kinds)}")


def _audio_formats() -> Finding:
    import soundfile

    formats = soundfile.available_formats()
    text = f"{soundfile.__libsndfile_version__}, reads {', '.join(sorted(formats))}"
    return Finding("libsndfile", "ok" if {"WAV", "FLAC", "OGG", "MP3"} <= formats.keys() else "note", text)


def _models() -> Iterator[Finding]:
    from audex_jax.bundles import load_explainer, read_description
    from audex_jax.cli.models import bundled, summary
    from audex_jax.core.errors import AudexError

    for folder in bundled():
        try:
            load_explainer(folder)
        except (AudexError, OSError) as error:
            yield Finding(folder.name, "BAD", f"{error}; install the package again")
        else:
            yield Finding(folder.name, "ok", summary(read_description(folder)))
    if not bundled():
        yield Finding("bundled models", "BAD", "none; install the package again")


def _codecs() -> Finding:
    from audex_jax.core.registry import CODECS
    from weights_conversion import published

    text = f"{', '.join(CODECS.names())}; audex convert knows {', '.join(published())}"
    return Finding("codecs", "ok", text)


def _folders() -> Iterator[Finding]:
    from audex_jax.core.compilation import cache_folder

    cache = cache_folder()
    if cache is None:
        yield Finding("compilation cache", "note", "none, since you have no home; set AUDEX_CACHE to a folder")
    elif not _writable(cache):
        yield Finding("compilation cache", "note", f"{cache} cannot be written; set AUDEX_CACHE to a folder that can")
    else:
        size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) / 1e6
        yield Finding("compilation cache", "ok", f"{cache}, {size:.0f} MB (set AUDEX_CACHE to move it)")
    for name, folder in (
        ("current folder", pathlib.Path.cwd()),
        ("temporary files", pathlib.Path(tempfile.gettempdir())),
    ):
        writable = _writable(folder)
        yield Finding(name, "ok" if writable else "note", f"{folder}{'' if writable else ' cannot be written'}")


def _writable(folder: pathlib.Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
