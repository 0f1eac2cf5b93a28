"""A kit as one file: a plain tar archive of plain files, always the same bytes for the same kit.

Archives are read by hand: what a kit needs of the format is little, and all the rest of it (links, devices, sparse
files, long names, compression) is what a hostile one would be made of.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from edgefuse.kits.manifest import is_plain
from edgefuse.progress import Progress, silent
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_file

BLOCK = 512
_OCTAL = re.compile(rb"[0-7]+")
MOST_FILES = 10_000


class Archive:
    """The files of a tar archive, found by their headers; nothing is unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        self._starts: dict[str, int] = {}
        end = path.stat().st_size
        with path.open("rb") as file:
            position = 0
            while position + BLOCK <= end:
                file.seek(position)
                header = file.read(BLOCK)
                if not any(header):
                    return
                name, size = _read_header(header, path)
                position += BLOCK
                if name is None:
                    continue
                if name in self.sizes or len(self.sizes) >= MOST_FILES:
                    raise _refusal(path, f"it has {name!r} twice, or too many files")
                if position + size > end:
                    raise BadInput(f"The kit {path} ends too early; copy it again.")
                self.sizes[name], self._starts[name] = size, position
                position += -(-size // BLOCK) * BLOCK
        raise BadInput(f"The kit {path} ends too early; copy it again.")

    def open(self, name: str) -> BinaryIO:
        """A file to read."""
        return io.BufferedReader(_Part(self.path, self._starts[name], self.sizes[name]))


class _Part(io.RawIOBase):
    """So many bytes of a file, from a place on."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def write_archive(path: Path, contents: Mapping[str, Path | bytes], progress: Progress = silent) -> None:
    """Write files, given by their path or their content, into the archive `path` in this order."""
    with new_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in progress("writing the archive", contents, len(contents)):
            content = contents[name]
            member = tarfile.TarInfo(name)  # no time, no owner
            member.mode = 0o644
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as data:
                member.size = data.seek(0, io.SEEK_END)
                data.seek(0)
                archive.addfile(member, data)


def _read_header(header: bytes, path: Path) -> tuple[str | None, int]:
    """Name and size of the file that follows; the name is None for a folder, which needs none."""
    if header[257:262] != b"ustar" or _number(header[148:156]) != sum(header[:148]) + 8 * 32 + sum(header[156:]):
        raise _refusal(path, "it is no plain tar archive, or is damaged")
    kind, prefix = header[156:157], header[345:500] if header[257:265] == b"ustar\x0000" else b""
    if kind not in (b"0", b"\0", b"5"):
        raise _refusal(path, "something in it is no plain file")
    size = _number(header[124:136])
    try:
        parts = [part.rstrip(b"\0").decode("utf-8") for part in (prefix, header[:100])]
    except UnicodeDecodeError:
        parts = [""]
    name = "/".join(part for part in parts if part)
    if kind == b"5":
        name = name.rstrip("/")
    if size is None:
        raise _refusal(path, f"the size of {name[:100]!r} is no number")
    if not is_plain(name):
        raise _refusal(path, f"it names a file outside itself ({name[:100]!r})")
    if kind == b"5":
        return None, 0
    return name, size


def _number(field: bytes) -> int | None:
    """An octal number, or one of 2^33 and more in the way of GNU tar; None where it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ") or b"0"
    return int(digits, 8) if _OCTAL.fullmatch(digits) else None  # int() alone takes a sign, too


def _refusal(path: Path, why: str) -> BadInput:
    return BadInput(f"{path} is not a kit ({why}); name what 'edgefuse pack' made.")
