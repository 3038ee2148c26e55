"""Reading checkpoints: files and folders to NumPy arrays. PyTorch is imported for its pickle formats only."""

import os
import pathlib
import pickle
import re
import zipfile
from typing import Any, NamedTuple

import numpy as np

from audex_jax.io.files import FileError, json_object, sha256
from audex_jax.io.tensors import read_tensors
from weights_conversion import hub
from weights_conversion.errors import ConversionError
from weights_conversion.family import config_of, families, published

PICKLES = (".bin", ".th", ".pt", ".pth", ".ckpt")
NESTED = ("state_dict", "model", "model_state_dict")  # where trainers keep the tensors
# what a folder may hold, best first; an index names the shards of a checkpoint in several files
IN_FOLDERS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "compression_state_dict.bin",
)


class Source(NamedTuple):
    """A checkpoint in memory.

    Attributes:
        name: path or hub id, for messages.
        tensors: every tensor under its name in the file.
        config: the codec's config, if the file or the folder carries one.
        origin: where the weights come from, kept in the bundle: source, revision, files with their sha256.
    """

    name: str
    tensors: dict[str, np.ndarray]
    config: Any | None
    origin: dict[str, Any]


def read(location: str | os.PathLike, revision: str | None = None) -> Source:
    """Read a checkpoint.

    Args:
        location: a `.safetensors`, `.bin`, `.th`, `.pt` or `.pth` file; a folder as the Hugging Face hub lays it out;
            or a hub id such as `facebook/encodec_24khz`.
        revision: of a hub id: a commit, tag or branch; None takes a published model's pinned one, else the
            newest.

    Raises:
        ConversionError: no such source, not readable, damaged, or a pickle that asks for more than tensors.
    """
    path = pathlib.Path(location)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        tensors, config = _read_file(path)
        beside = path.parent / "config.json"
        if config is None and beside.exists() and path.name in IN_FOLDERS:
            config = _read_config(beside)
        return Source(str(path), tensors, config, {"source": path.name, "sha256": {path.name: sha256(path)}})
    if hub.is_id(str(location)):
        pinned = {model.source: model.revision for model in published().values()}
        folder, commit = hub.fetch(str(location), IN_FOLDERS, revision or pinned.get(str(location)))
        source = _read_folder(folder)
        return source._replace(name=str(location), origin=source.origin | {"source": str(location), "revision": commit})
    raise ConversionError(
        f"{location}: no such file or folder, and not a hub id; give a checkpoint file ({', '.join(PICKLES)}, "
        ".safetensors), a folder with config.json and model.safetensors, or an id like facebook/encodec_24khz"
    )


def _read_folder(folder: pathlib.Path) -> Source:
    name = next((name for name in IN_FOLDERS if (folder / name).is_file()), None)
    if name is None:
        raise ConversionError(f"{folder}: no checkpoint in this folder; it must hold one of {', '.join(IN_FOLDERS)}")
    files = _shards(folder / name) if name.endswith(".json") else [folder / name]
    tensors: dict[str, np.ndarray] = {}
    config = None
    for file in files:
        part, config = _read_file(file)
        twice = sorted(tensors.keys() & part.keys())
        if twice:
            raise ConversionError.of(str(folder), "tensors are in more than one shard", twice)
        tensors |= part
    if config is None and (folder / "config.json").exists():
        config = _read_config(folder / "config.json")
    return Source(
        str(folder), tensors, config, {"source": folder.name, "sha256": {file.name: sha256(file) for file in files}}
    )


def _shards(index: pathlib.Path) -> list[pathlib.Path]:
    try:
        listed = sorted(set(json_object(index)["weight_map"].values()))
        files = [index.parent / pathlib.PurePath(name).name for name in listed]
    except FileError as error:
        raise ConversionError(error) from None
    except (KeyError, AttributeError, TypeError) as error:
        raise ConversionError(f"{index}: not an index of shards ({error!r}); fetch the checkpoint again") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ConversionError.of(str(index), "shards are missing; fetch the checkpoint again", missing)
    return files


def _read_config(path: pathlib.Path) -> Any:
    try:
        fields = json_object(path)
    except FileError as error:
        raise ConversionError(error) from None
    return config_of(fields, str(path))


def _read_file(path: pathlib.Path) -> tuple[dict[str, np.ndarray], Any | None]:
    _check_hash_in_name(path)
    if path.suffix == ".safetensors":
        try:
            return read_tensors(path), None
        except FileError as error:
            raise ConversionError(error) from None
    if path.suffix not in PICKLES:
        raise ConversionError(f"{path}: unknown file type; accepted are .safetensors and {', '.join(PICKLES)}")
    return _read_pickle(path)


def _check_hash_in_name(path: pathlib.Path) -> None:
    """Meta's files are named `<model>-<first 8 digits of the sha256>.th`."""
    stated = re.search(r"-([0-9a-f]{8})\.th$", path.name)
    if stated and not sha256(path).startswith(stated[1]):
        raise ConversionError(
            f"{path}: damaged: its sha256 begins with {sha256(path)[:8]}, its name says {stated[1]}; fetch it again"
        )


def _read_pickle(path: pathlib.Path) -> tuple[dict[str, np.ndarray], Any | None]:
    try:
        import torch
    except ImportError:
        raise ConversionError(
            f"{path}: a PyTorch pickle, which only PyTorch reads: pip install torch (any CPU build, for the conversion "
            "alone); or take the model's .safetensors file, which needs no PyTorch"
        ) from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(_pickle_fault(path, str(error))) from None
    except (
        RuntimeError,
        OSError,
        EOFError,
        KeyError,
        ValueError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
    ) as error:
        raise ConversionError(
            f"{path}: not a readable PyTorch file, or cut short ({_first_line(error)}); fetch it again"
        ) from None
    if not isinstance(content, dict):
        raise ConversionError(f"{path}: it holds a {type(content).__name__}, not a dictionary of tensors")
    config = None
    if "pretrained" in content:
        raise ConversionError(f"{path}: it only refers to the model {content['pretrained']!r}; convert that one")
    carried = (family.from_pickle(content, str(path)) for family in families().values())
    found = next((pair for pair in carried if pair is not None), None)
    if found is not None:
        content, config = found
    else:
        content = next((content[key] for key in NESTED if isinstance(content.get(key), dict)), content)
    others = [key for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise ConversionError.of(str(path), "entries that are not tensors", [str(key) for key in others])
    return {str(key): _to_numpy(torch, value) for key, value in content.items()}, config


def _to_numpy(torch: Any, tensor: Any) -> np.ndarray:
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _pickle_fault(path: pathlib.Path, error: str) -> str:
    asked = re.search(r"GLOBAL (\S+)|Unsupported (?:global|class|operand)[:\s]+(\S+)", error)
    if asked:
        return (
            f"{path}: refused: besides tensors this pickle asks for {asked[1] or asked[2]}, which may run foreign "
            "code; take a .safetensors file, or a pickle that holds tensors only"
        )
    return f"{path}: refused: not a pickle of tensors only, or cut short ({_first_line(error)}); fetch it again"


def _first_line(error: object) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]
