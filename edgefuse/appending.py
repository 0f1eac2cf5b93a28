"""Adding whole lines to a file that one process at a time writes to."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from edgefuse_runtimes.errors import BadInput


def lock(handle: int, path: Path) -> None:
    """Keep other processes out of the open file until it is closed.

    Raises:
        BadInput: another process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(
            f"Another edgefuse is writing {path} at this moment; wait for it or choose another --output."
        ) from error


def append_line(handle: int, path: Path, line: bytes) -> None:
    """Add a line to the open file and have it on the disk; if that fails, the file is as it was."""
    end = os.fstat(handle).st_size
    try:
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(handle)
    except BaseException:
        os.ftruncate(handle, end)
        raise
