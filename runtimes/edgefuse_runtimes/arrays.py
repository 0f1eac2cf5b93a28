"""Arrays out of npz files that anybody may have written: nothing is unpickled, and no bomb is unpacked."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput

LARGEST_UNPACKED = 64 << 20
"""Bytes that a packed file of arrays may always become."""
MOST_PACKED = 100
"""Times its size that a larger one may become: real numbers pack far less, a bomb a thousand times."""

_UNREADABLE = (
    OSError, EOFError, MemoryError, OverflowError, RecursionError, ValueError, TypeError, AttributeError, RuntimeError,
    SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise over damaged arrays; numpy reads a header as if it were Python."""


def read_arrays(path: Path, remedy: str) -> dict[str, NDArray[Any]]:
    """The arrays of the npz file `path` by name; nothing in it is unpickled.

    Args:
        path: of the file.
        remedy: what to do where it cannot be read, as the end of a sentence.

    Raises:
        BadInput: the file is missing, damaged, no npz file, or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            unpacked = sum(member.file_size for member in arrays.zip.infolist())
            if unpacked > max(LARGEST_UNPACKED, MOST_PACKED * path.stat().st_size):
                raise ValueError(f"it would become {unpacked} bytes")
            found = dict(arrays)
            if not all(isinstance(array, np.ndarray) for array in found.values()):  # numpy gives other members as bytes
                raise ValueError("it holds something that is no array")
            return found
    except _UNREADABLE as error:
        said = str(error).partition(". ")[0]  # numpy goes on with how to unpickle it all the same
        why = " ".join(said.split())[:200]
        raise BadInput(f"The arrays {path} cannot be read ({why}); {remedy}.") from error
