"""Where an encoder was exported from: found, and known to be the right one."""

from __future__ import annotations

import re
from pathlib import Path

from edgefuse.extras import importable
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.spec import EncoderSpec

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_HUB_FILES = ["*.json", "*.safetensors"]


def find_source(source: str) -> Path:
    """The folder or file that `source` names; a hub id is downloaded, unless it was before.

    Raises:
        BadInput: nothing lies there, and it is no hub id that can be reached.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path.absolute()
    if path.suffix in (".onnx", ".gguf") or not _HUB_ID.fullmatch(source):
        raise BadInput(f"There is no file or folder {source}; check the path of the source.")
    hub = importable("huggingface_hub", "export-torch")
    try:
        return Path(hub.snapshot_download(source, allow_patterns=_HUB_FILES))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{source!r} is no folder here, and the hub does not give it; give the path of a folder with the model."
        ) from error


def check_source(source: Path, spec: EncoderSpec) -> None:
    """Refuse weights that are not those which `spec`'s file was exported from, as far as it says.

    Raises:
        BadInput: a file is missing, or its hash is another one.
    """
    stated = spec.source.get("sha256")
    hashes = stated if isinstance(stated, dict) else {}
    for name, expected in hashes.items():
        file = source / name if source.is_dir() else source
        if not file.is_file() or sha256(file) != expected:
            raise BadInput(
                f"{spec.file} was not exported from {source} ({name} is another one); name the source it was made from."
            )
