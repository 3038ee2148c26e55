"""Fetching checkpoints from the Hugging Face hub: local cache, verified hash."""

import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from weights_conversion.errors import ConversionError


def is_id(text: str) -> bool:
    """Whether a text looks like `owner/name`.

    >>> is_id("facebook/encodec_24khz"), is_id("./encodec.th"), is_id("a/b/c")
    (True, False, False)
    """
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) is not None


def fetch(model: str, names: Sequence[str], revision: str | None = None) -> tuple[pathlib.Path, str]:
    """Bring a model's config and weights into the hub's local cache; what is there already is not fetched again.

    Args:
        model: hub id.
        names: files to look for, best first; of an index the shards come too.
        revision: commit, tag or branch; None for the newest.

    Returns:
        The folder that holds them, and the commit that it is.

    Raises:
        ConversionError: huggingface_hub is not installed, offline and not cached, no such model, or a damaged file.
    """
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError:
        raise ConversionError(
            f"{model}: no such file or folder; to fetch it from the Hugging Face hub: pip install 'audex-jax[hub]'"
        ) from None

    def get(name: str) -> pathlib.Path | None:
        try:
            return pathlib.Path(huggingface_hub.hf_hub_download(model, name, revision=revision))
        except errors.LocalEntryNotFoundError:
            offline.append(name)
            return None
        except errors.EntryNotFoundError:
            return None
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
            raise ConversionError(f"{model}: the hub has no such model or revision ({_first(error)})") from None
        except (errors.HfHubHTTPError, OSError) as error:
            raise ConversionError(f"{model}: fetching {name} failed ({_first(error)}); try again") from None

    offline: list[str] = []
    config = get("config.json")
    found = next((path for path in map(get, names) if path is not None), None)
    if found is None:
        if offline:
            raise ConversionError(
                f"{model}: not in the local cache, and the hub cannot be reached. Fetch it once while online, or copy "
                "the model's folder here and give its path instead of its id"
            )
        raise ConversionError(f"{model}: the hub has none of {', '.join(names)} for it")
    files = [path for path in (config, found) if path is not None]
    if found.name.endswith(".index.json"):
        files += _shards(found, get)
    for file in files:
        _verify(file)
    return found.parent, found.parent.name


def _shards(index: pathlib.Path, get: Any) -> list[pathlib.Path]:
    fetched = [get(name) for name in sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))]
    return [path for path in fetched if path is not None]  # the reader names those that are missing


def _verify(file: pathlib.Path) -> None:
    """Large files lie in the cache under the sha256 that the hub states; small ones under a git hash."""
    stated = file.resolve().name
    if not re.fullmatch(r"[0-9a-f]{64}", stated):
        return
    with file.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != stated:
        raise ConversionError(
            f"{file}: damaged: its sha256 is {actual}, the hub states {stated}; delete and fetch again"
        )


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
