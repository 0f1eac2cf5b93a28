"""A kit as it is brought: a folder or an archive, of which nothing is believed yet."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from edgefuse.kits.archive import MOST_FILES, Archive
from edgefuse.kits.manifest import LARGEST, MANIFEST, SIGNATURE
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput

PIECE = 1 << 20
"""Bytes that are read at a time."""


class Source(Protocol):
    """What a kit's files are read from."""

    path: Path
    sizes: dict[str, int]
    """Bytes of each file there is."""

    def open(self, name: str) -> BinaryIO:
        """A file to read."""
        ...


class Folder:
    """A kit as a folder; links and devices in it are refused, so that what is read lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        for file, status in _walk(path):
            if not stat.S_ISREG(status.st_mode):
                kind = "a link" if stat.S_ISLNK(status.st_mode) else "no file"
                raise BadInput(f"{file} in the kit {path} is {kind}; do not use this kit.")
            self.sizes[file.relative_to(path).as_posix()] = status.st_size
            if len(self.sizes) > MOST_FILES:
                raise BadInput(f"The kit {path} has more than {MOST_FILES} files; do not use this kit.")

    def open(self, name: str) -> BinaryIO:
        """A file to read."""
        return os.fdopen(os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def open_source(path: Path) -> Source:
    """The kit at `path`.

    Raises:
        BadInput: there is none, or something in it is no plain file.
    """
    if not path.exists():
        raise BadInput(f"There is no kit at {path}; check the path.")
    if not path.is_dir() and not path.is_file():  # to open a pipe would wait for ever
        raise BadInput(f"{path} is neither a folder nor a file; name what 'edgefuse pack' made.")
    source = Folder(path) if path.is_dir() else Archive(path)
    if MANIFEST not in source.sizes:
        raise BadInput(f"{path} is not a kit (it has no {MANIFEST}); name what 'edgefuse pack' made.")
    return source


def read_small(source: Source, name: str) -> bytes:
    """The content of the manifest or the signature.

    Raises:
        BadInput: it is larger than either can be.
    """
    if source.sizes[name] > LARGEST:
        raise BadInput(f"{name} of the kit {source.path} is too large to be one; do not use this kit.")
    with source.open(name) as file:
        return file.read(LARGEST + 1)


def check_files(source: Source, files: dict[str, dict[str, object]], *, may_lack: frozenset[str] = frozenset()) -> None:
    """Compare the files there are with those that a manifest lists.

    Args:
        source: the kit.
        files: of the manifest, which was checked.
        may_lack: hashes of files that need not be there.

    Raises:
        BadInput: a file is missing, was added, or has another size.
    """
    extra = sorted(source.sizes.keys() - files.keys() - {MANIFEST, SIGNATURE})
    if extra:
        raise BadInput(
            f"The kit {source.path} has the file {extra[0]!r}, which its manifest does not list; "
            "remove it, or copy the kit again."
        )
    for name, entry in files.items():
        if name not in source.sizes:
            if entry["sha256"] not in may_lack:
                raise BadInput(
                    f"The kit {source.path} lacks the file {name}, and no installed kit has it; copy the whole kit."
                )
        elif source.sizes[name] != entry["bytes"]:
            raise BadInput(f"The file {name} of the kit {source.path} has the wrong size; copy the kit again.")


def hash_files(source: Source, files: Mapping[str, Mapping[str, Any]], progress: Progress = silent) -> None:
    """Hash the files there are, which `check_files` compared, and hold them against a manifest.

    Raises:
        BadInput: one is not what was packed.
    """
    there = [name for name in files if name in source.sizes]
    total = sum(source.sizes[name] for name in there)
    for name in progress("hashing", there, total, size=lambda name: source.sizes[name]):
        hashed = hashlib.sha256()
        with source.open(name) as file:
            while piece := file.read(PIECE):
                hashed.update(piece)
        if hashed.hexdigest() != files[name]["sha256"]:
            raise damaged(source, name)


def copy_file(source: Source, name: str, entry: Mapping[str, Any], target: BinaryIO) -> None:
    """Write a file to `target`; it is hashed as it is copied, so that what is checked is what is written.

    Raises:
        BadInput: it is not what the manifest's `entry` says; something was written.
    """
    hashed, left = hashlib.sha256(), int(entry["bytes"])
    with source.open(name) as brought:
        while left and (piece := brought.read(min(PIECE, left))):
            hashed.update(piece)
            target.write(piece)
            left -= len(piece)
    if hashed.hexdigest() != entry["sha256"]:
        raise damaged(source, name)


def damaged(source: Source, name: str) -> BadInput:
    """The refusal of a file that is not what was packed."""
    return BadInput(f"The file {name} of the kit {source.path} is damaged (sha256 differs); copy the kit again.")


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield Path(entry.path), entry.stat(follow_symlinks=False)
