"""Vectors that stay in their files: rows are read into memory when they are asked for, and only those."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput

Floats = NDArray[np.float32]
VectorKind = Literal["image", "text", "views"]
"""Of vectors: of pictures, of notes, of views of pictures one by one."""
Key = int | np.integer[Any] | slice | NDArray[np.bool_] | NDArray[np.integer[Any]]


@dataclass(frozen=True)
class MappedRows:
    """Rows (n, d) that lie in several shards, one after the other: `rows[key]` copies some, `rows[:]` all.

    `key` is what numpy takes for one axis: a number, a slice, a mask or an array of numbers. A shard is mapped only
    while rows are copied from it, so that a table of any size needs neither memory nor open files.
    """

    paths: tuple[Path, ...]
    shape: tuple[int, int]
    """(n, d)"""
    shard_rows: int
    """Rows of every shard but the last, which has the rest."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Key) -> Floats:
        wanted = np.arange(len(self))[key]  # () or (m,)
        numbers, places = np.divmod(np.atleast_1d(wanted), self.shard_rows)  # (m,) each
        rows = np.empty((len(numbers), self.shape[1]), np.float32)  # (m, d)
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)  # what comes out of this shard
            rows[here] = read_shard(self.paths[number])[places[here]]
        return rows if np.ndim(wanted) else rows[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32, copy=False)

    def shards(self) -> Iterator[Floats]:
        """Every shard (m, d), mapped."""
        return map(read_shard, self.paths)


@dataclass(frozen=True)
class ChosenRows:
    """Some rows (m, d) of others; `chosen[start:stop]` copies these, and only these."""

    rows: Floats | MappedRows
    numbers: NDArray[np.int64]
    """(m,)"""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, d)"""
        return len(self.numbers), self.rows.shape[1]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, key: slice) -> Floats:
        return self.rows[self.numbers[key]]


def parts(rows: Floats | MappedRows) -> Iterator[Floats]:
    """Rows (n, d) bit by bit, (m, d) each, without a copy of them all: the shards, or an array as it is."""
    return rows.shards() if isinstance(rows, MappedRows) else iter((rows,))


def read_shard(path: Path) -> Floats:
    """One shard (m, d), mapped from the file.

    Raises:
        BadInput: the shard is missing or no float32 matrix.
    """
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise BadInput(f"{path.parent} lacks the shard {path.name}; run 'edgefuse extract' again.") from error
    except (OSError, ValueError, EOFError) as error:
        why = str(error).partition(". ")[0]  # numpy goes on with how to unpickle it all the same
        raise BadInput(f"The shard {path} is damaged ({why}); remove it and extract again.") from error
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32 or vectors.ndim != 2:
        raise BadInput(f"The shard {path} is no float32 matrix; remove it and extract again.")
    return vectors
