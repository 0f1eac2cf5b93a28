"""What the .run file and its further parts carry: checked, then unpacked, hashed while it is read."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgefuse_packaging.device.refused import Refused

HEADER_BYTES = 65536
"""Shell and programs at the beginning of the file; what is carried follows."""
PIECE = 1 << 20
"""Bytes that are copied at a time."""


def parts_of(file: Path, facts: Mapping[str, Any]) -> list[Path]:
    """The files that hold what is carried, each checked: `file` itself, then FILE.2, FILE.3, ...

    Raises:
        Refused: one is missing, cut short or changed.
    """
    parts = facts["parts"]
    paths = [file if number == 1 else file.with_name(f"{file.name}.{number}") for number in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        if not path.exists():
            raise Refused(f"{path.name} is missing; copy all {len(parts)} files into one folder.")
        size = path.stat().st_size - (HEADER_BYTES if path == file else 0)
        if size != part["bytes"]:
            short = "is cut short" if size < part["bytes"] else "is too long"
            raise Refused(f"{path.name} {short} ({size} bytes of {part['bytes']}); copy it again.")
    for path, part in zip(paths, parts, strict=True):
        with path.open("rb") as opened:
            opened.seek(HEADER_BYTES if path == file else 0)
            if hashlib.file_digest(opened, "sha256").hexdigest() != part["sha256"]:
                raise Refused(f"{path.name} was changed or is damaged; copy it again.")
    return paths


def unpack(paths: list[Path], folder: Path, parts: Sequence[Mapping[str, Any]]) -> None:
    """Write what the parts hold into the new folder `folder`: plain files and folders, and nothing outside it.

    By hand, since Python 3.11.2, which Debian 12 has, knows no filter for it. The bytes are hashed as they are read,
    since a stick may give others than it gave to `parts_of`.

    Args:
        paths: of the parts.
        folder: to make; what is in it is right only if this returns.
        parts: "bytes" and "sha256" of each.

    Raises:
        Refused: the parts are others than they should be, or hold what does not belong there.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        files[0].seek(HEADER_BYTES)
        joined = _Hashed(files, parts)
        try:
            with tarfile.open(fileobj=joined, mode="r|") as archive:
                for entry in archive:
                    path = folder / entry.name
                    is_plain = entry.isdir() or (entry.isfile() and not entry.issparse())
                    if not path.resolve().is_relative_to(folder.resolve()) or not is_plain:
                        raise Refused(f"this file holds {entry.name!r}, which does not belong there; do not use it.")
                    if entry.isdir():
                        path.mkdir()
                        continue
                    content = archive.extractfile(entry)
                    assert content is not None
                    with path.open("xb") as target:
                        shutil.copyfileobj(content, target, PIECE)
        except tarfile.TarError:
            joined.read_on()  # if it was changed, that is what has to be told
            raise
        joined.read_on()


class _Hashed(io.RawIOBase):
    """Parts read one after the other; the end of one that was changed is never passed."""

    def __init__(self, files: Sequence[IO[bytes]], parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self._parts = list(zip(files, parts, strict=True))
        self._hash, self._left = hashlib.sha256(), parts[0]["bytes"]

    def read(self, size: int = -1) -> bytes:
        while self._parts:
            file, part = self._parts[0]
            data = file.read(min(self._left, PIECE if size < 0 else size))
            self._hash.update(data)
            self._left -= len(data)
            if data:
                return data
            if self._left or self._hash.hexdigest() != part["sha256"]:
                raise Refused(f"{Path(file.name).name} was changed while it was read; copy it again.")
            self._parts.pop(0)
            if self._parts:
                self._hash, self._left = hashlib.sha256(), self._parts[0][1]["bytes"]
        return b""

    def read_on(self) -> None:
        """Hash what is left."""
        while self.read(PIECE):
            pass
