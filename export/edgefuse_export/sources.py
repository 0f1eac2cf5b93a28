"""What an export source is, and the sentences for what it cannot be."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import edgefuse
from edgefuse.extras import importable
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_json, sha256

Kind = Literal["folder", "onnx", "gguf"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
CARD = "README.md"
_HUB_FILES = ["*.json", "*.safetensors", "tokenizer.model", CARD]
_SMALL_FILES = ("*.json", "*/*.json", "*.model", "*.txt", CARD)
GGUF_TOOLS = ["numpy", "gguf"]
"""Distributions that make a GGUF file."""
ONNX_TOOLS = ["numpy", "onnx", "onnxruntime"]
TORCH_TOOLS = [*ONNX_TOOLS, "torch", "transformers"]
"""Those that make an ONNX file of another one, and of a Hugging Face folder."""

_HASHES: dict[tuple[int | Path, ...], str] = {}


@dataclass(frozen=True)
class Origin:
    """Where weights come from, as it is told in a kit."""

    source: dict[str, Any]
    """Name, version or content hash, remarks; plain JSON types."""
    licence: str


def require_export_extra() -> None:
    """Ask before minutes of work.

    Raises:
        BadInput: the extra "export" is not installed.
    """
    for module in ("onnx", "onnxruntime", "gguf"):
        importable(module, "export")


def find_source(source: str) -> Path:
    """The folder or file that `source` names; a hub id is downloaded first.

    Raises:
        BadInput: nothing lies there, and it is no hub id that can be reached.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    if path.suffix in (".onnx", ".gguf") or not _HUB_ID.fullmatch(source):
        raise BadInput(f"There is no file or folder {source}; check the path of the source.")
    return _download(source)


def _download(hub_id: str) -> Path:
    hub = importable("huggingface_hub", "export-torch")
    errors = importable("huggingface_hub.errors", "export-torch")
    requests = importable("requests", "export-torch")
    try:
        return Path(hub.snapshot_download(hub_id, allow_patterns=_HUB_FILES))
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise BadInput(
            f"{hub_id!r} is neither a folder here nor a model on the hub that may be read; check its name."
        ) from error
    except (
        errors.HfHubHTTPError,
        errors.LocalEntryNotFoundError,
        requests.RequestException,
        OSError,
    ) as error:
        raise BadInput(
            f"{hub_id!r} is no folder here, and the hub cannot be reached to download it; "
            "give the path of a folder that holds the model."
        ) from error


def kind_of(path: Path) -> Kind:
    """What lies at `path`.

    Raises:
        BadInput: neither a Hugging Face folder, an .onnx file nor a .gguf file.
    """
    if path.is_dir():
        if (path / "config.json").is_file():
            return "folder"
        raise BadInput(f"{path} holds no config.json, so it is no Hugging Face model folder; check the path.")
    if path.suffix == ".onnx":
        return "onnx"
    if path.suffix == ".gguf":
        return "gguf"
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        raise BadInput(f"{path} is a pickle, which can run code when read; convert it to safetensors first.")
    raise BadInput(f"{path} is neither a Hugging Face folder, an .onnx file nor a .gguf file; give one of these.")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a model's folder.

    Raises:
        BadInput: the file is missing or holds something else.
    """
    return read_json(path, "fetch the model's folder again")


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a Hugging Face folder, which must say its `model_type`.

    Raises:
        BadInput: it is missing, damaged or does not name its model type.
    """
    config = read_object(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise BadInput(f"{folder / 'config.json'} names no model_type, so the model's family is unknown.")
    return config


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder, single or sharded.

    Raises:
        BadInput: there are none, only pickles, or a shard is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = read_object(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
            raise BadInput(f"{index} holds no weight_map; fetch the file again.")
        names = sorted(set(shards.values()))
        for name in names:
            if Path(name).name != name or not (folder / name).is_file():
                raise BadInput(f"{index} names the weights file {name}, which is missing; fetch it again.")
        return [folder / name for name in names]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if any(folder.glob("*.bin")):
        raise BadInput(
            f"{folder} holds its weights as .bin pickles only, which can run code when read; "
            "convert them to safetensors first."
        )
    raise BadInput(f"{folder} holds no model.safetensors; the model's folder is not complete.")


def model_card_licence(folder: Path) -> str:
    """The licence that the model card (README.md) in `folder` states, else "unknown"."""
    return _card_entry(folder, "license") or "unknown"


def _card_entry(folder: Path, key: str) -> str | None:
    card = folder / CARD
    if not card.is_file():
        return None
    front = re.match(r"---\s*\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    stated = front and re.search(rf"^{key}:[ \t]*['\"]?([\w.+-]+)", front[1], re.MULTILINE)
    return stated[1] if stated else None


def _named_licence(folder: Path) -> str:
    """As `model_card_licence`, but by its own name where the hub's list has none for it."""
    stated = model_card_licence(folder)
    return _card_entry(folder, "license_name") or stated if stated == "other" else stated


def origin_of(source: Path, stated_licence: str = "unknown") -> Origin:
    """Name, content hashes and licence of a folder or file; no path of this machine is recorded.

    A folder's model card says its licence; for a file it is `stated_licence`, or what a card beside it says.
    """
    if source.is_dir():
        files = weight_files(source)
        hashes = {file.name: _hash(file) for file in files}
        licence = _named_licence(source)
        if source.parent.name == "snapshots":  # the hub's cache: models--ORG--NAME/snapshots/REVISION
            name = source.parent.parent.name.removeprefix("models--").replace("--", "/")
            return Origin({"name": name, "revision": source.name, "sha256": hashes}, licence)
        return Origin({"name": source.resolve().name, "sha256": hashes}, licence)
    licence = _named_licence(source.parent) if stated_licence == "unknown" else stated_licence
    return Origin({"name": source.name, "sha256": {source.name: _hash(source)}}, licence)


def files_of(source: Path) -> dict[str, Path]:
    """All files that decide what is made of a source, by their names in it; "." is a source that is a file.

    Raises:
        BadInput: there is no source, or a file of it is missing.
    """
    match kind_of(source):
        case "folder":
            found = [*weight_files(source), *(file for kind in _SMALL_FILES for file in source.glob(kind))]
            return {file.relative_to(source).as_posix(): file for file in found}
        case "onnx":
            beside = [*_external_data(source), "preprocessor_config.json", CARD]
        case "gguf":
            beside = [CARD]
    return {".": source} | {name: source.parent / name for name in beside if (source.parent / name).is_file()}


def remember_hash(file: Path, known: str) -> None:
    """A hash that is known need not be computed again, as long as the file does not change: weights take a while."""
    _HASHES[_state(file)] = known


def tool_versions(distributions: list[str]) -> dict[str, str]:
    """Installed versions, edgefuse's own first; what is not installed is left out."""
    versions = {"edgefuse": edgefuse.__version__}
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _hash(file: Path) -> str:
    return _HASHES.get(_state(file)) or sha256(file)


def _state(file: Path) -> tuple[int | Path, ...]:
    stat = file.stat()
    return file, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _external_data(file: Path) -> list[str]:
    """Names of the files that hold weights of an ONNX file; none where it cannot be read."""
    onnx = importable("onnx", "export")
    message = importable("google.protobuf.message", "export")
    try:
        tensors = onnx.load(file, load_external_data=False).graph.initializer
    except (message.DecodeError, OSError, ValueError):
        return []
    places = [entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"]
    return sorted(set(places))
