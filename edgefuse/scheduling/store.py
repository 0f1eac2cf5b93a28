"""Where a worker finds the files of an encoder: by their hashes, in a folder that is shared, or where they were sent.

A folder is the right one if it holds every file under its name with its hash, whatever the folder is called.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from edgefuse.kits.encoders import Encoders
from edgefuse.kits.golden import NOTES, PICTURES, VECTORS
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import cache_home, sha256, sync_folder
from edgefuse_runtimes.spec import EncoderSpec

SHARED = "EDGEFUSE_SHARED_ENCODERS"
"""The environment variable of a worker that names its shared folder, where the client names none."""

LEFT_SECONDS = 3600.0
"""Without a piece after which a sending is given up: its client died, and a model's file is not left to lie there."""


class File(NamedTuple):
    """One file that an encoder needs."""

    name: str
    """Path in an encoders folder."""
    sha256: str
    bytes: int


def files_of(encoders: Encoders, spec: EncoderSpec) -> tuple[File, ...]:
    """All that a worker needs to open the encoder and to try engines on it, the large files first."""
    known = [part for part in (spec, spec.data, spec.tokenizer) if part is not None]
    golden = (VECTORS, PICTURES[0] if spec.modality == "image" else NOTES[0])
    files = [File(part.file, part.sha256, encoders.file(part.file).stat().st_size) for part in known]
    files += [File(name, sha256(path), path.stat().st_size) for name in golden for path in (encoders.file(name),)]
    return tuple(files)


def find(files: Sequence[File], shared: str | None) -> Path | None:
    """The folder that holds the files; None: there is none. Each file is hashed once by this process."""
    named = shared or os.environ.get(SHARED)
    candidates = [*_and_below(Path(named))] if named else []
    return next((folder for folder in (*candidates, store(files)) if _holds(folder, files)), None)


def store(files: Sequence[File]) -> Path:
    """Where files that were sent are kept, for this user's later workers too."""
    name = hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:32]
    return cache_home() / "encoders" / name


def receive(files: Sequence[File], file: File, token: str, offset: int, piece: bytes) -> None:
    """Write one piece of a file that is sent; with the last one it gets its name.

    Args:
        files: all files of the encoder.
        file: the one it belongs to.
        token: tells one sending from another.
        offset: of the piece; the pieces come in order.
        piece: its bytes.

    Raises:
        BadInput: what came is not the file.
    """
    path = store(files) / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not offset:
        _remove_leftovers(path)
    part = path.with_name(f".{path.name}.{token}.part")
    with part.open("r+b" if offset else "wb") as target:
        target.seek(offset)
        target.write(piece)
        target.flush()
        if offset + len(piece) >= file.bytes:
            os.fsync(target.fileno())
    if offset + len(piece) >= file.bytes:
        if sha256(part) != file.sha256:
            part.unlink()
            raise BadInput(f"{file.name} came over damaged (sha256 differs); run the same command again.")
        part.replace(path)
        sync_folder(path.parent)


def _remove_leftovers(path: Path) -> None:
    """Remove what earlier sendings of a file left when they were ended."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > LEFT_SECONDS:
                part.unlink()


def new_token() -> str:
    """A token for one sending."""
    return uuid.uuid4().hex[:8]


_hashed: dict[tuple[str, int, int], str] = {}
"""What this process hashed: path, size and time stamp of a file -> its sha256."""


def _holds(folder: Path, files: Sequence[File]) -> bool:
    return all(_sha256(folder / file.name, file.bytes) == file.sha256 for file in reversed(files))  # small ones first


def _sha256(path: Path, size: int) -> str:
    """The file's hash; "" where it is missing or of another size."""
    try:
        facts = path.stat()
        if facts.st_size != size:
            return ""
        key = (str(path), facts.st_size, facts.st_mtime_ns)
        if key not in _hashed:
            _hashed[key] = sha256(path)
        return _hashed[key]
    except OSError:
        return ""


def _and_below(folder: Path) -> Iterator[Path]:
    """The folder and those in it."""
    yield folder
    try:
        yield from sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return
