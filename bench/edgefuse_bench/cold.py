"""Answering as after switching on: the files that an answer reads are dropped from the page cache before."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np


def settle(paths: Iterable[str]) -> None:
    """Have the files on the disk: pages that are not there yet cannot be dropped."""
    for path in paths:
        with contextlib.suppress(OSError), _opened(path) as handle:
            os.fdatasync(handle)


def drop(paths: Iterable[str]) -> None:
    """Ask the kernel to forget the files' pages; it keeps those that some process has mapped."""
    for path in paths:
        with contextlib.suppress(OSError), _opened(path) as handle:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def cached_bytes(paths: Iterable[str]) -> int:
    """How much of the files is in memory, by mincore(2), of those of which the kernel tells it."""
    return sum(_cached(path) for path in paths if is_told(path))


def is_told(path: str) -> bool:
    """Whether the kernel tells this user what is in memory of the file: of others it says that all is (Linux 5.2)."""
    try:
        return Path(path).stat().st_uid == os.geteuid() or os.access(path, os.W_OK)
    except OSError:
        return False


def remark(files: Sequence[str], before: int, stayed: Sequence[int]) -> str:
    """What was dropped before the queries, and what was not.

    Args:
        files: that were to be dropped.
        before: bytes of them in memory before they were dropped for the first time.
        stayed: bytes of them that were still there when each query began.
    """
    untold = sum(not is_told(path) for path in files)
    others = f"; of {untold} of these files, which other users own, the kernel does not tell" if untold else ""
    return (
        f"Before each query {len(files)} files (kit, libraries, Python) were dropped from the page cache, where "
        f"{before / 2**20:.0f} MiB of them had been; up to {max(stayed) / 2**20:.0f} MiB stayed, which other processes "
        f"use{others}. What the disk, a host system or the file system's own tables remember cannot be dropped, so the "
        "first answer after switching on may take longer."
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _cached(path: str) -> int:
    try:
        with _opened(path) as handle:
            size = os.fstat(handle).st_size
            if not size:
                return 0
            with mmap.mmap(handle, size, prot=mmap.PROT_READ) as mapped:
                pages = np.zeros(-(-size // mmap.PAGESIZE), np.uint8)
                content = np.frombuffer(mapped, np.uint8)
                failed = _mincore(content.ctypes.data, size, pages.ctypes.data)
                del content  # or the map cannot be closed
    except OSError:
        return 0
    return 0 if failed else int((pages & 1).sum()) * mmap.PAGESIZE


def _mincore(address: int, size: int, pages: int) -> int:
    call = ctypes.CDLL(None).mincore
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    return int(call(address, size, pages))
