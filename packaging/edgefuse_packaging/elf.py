"""What a compiled library asks of a machine's memory pages."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

_LOAD = 1


def page_bytes(library: bytes) -> int:
    """The largest memory page with which a 64-bit little-endian ELF library can be loaded.

    It is the smallest alignment of its loadable segments ("System V Application Binary Interface", program header).
    """
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    headers = [table + number * size for number in range(count)]
    return int(min(struct.unpack_from("<Q", library, at + 48)[0] for at in headers if _is_loaded(library, at)))


def _is_loaded(library: bytes, at: int) -> bool:
    return bool(struct.unpack_from("<I", library, at)[0] == _LOAD)


def page_bytes_of(wheels: Sequence[Path]) -> int:
    """The same for all libraries in wheels; 65536, the largest that Linux has, where there are none."""
    pages = [65536]
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if ".so" in Path(name).name]
            pages += [page_bytes(data) for name in names if (data := archive.read(name))[:5] == b"\x7fELF\x02"]
    return min(pages)
