"""Matrices of a GGUF file, multiplied while they are dequantised: a few rows at a time, which stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.gguf.dequantize import Bytes, dequantize, supported_type
from edgefuse_runtimes.gguf.reader import GgufFile
from edgefuse_runtimes.team import Team

Floats = NDArray[np.float32]

TILE_VALUES = 1 << 19
"""Values that a thread dequantises before it multiplies them: fewer calls than with less, no slower memory yet."""


class _Part(NamedTuple):
    """One tensor among those below one another."""

    first: int
    """Its first row in the whole."""
    raw: Bytes  # (rows, bytes of a row)
    type: str


class Matrix:
    """Some matrices of a file below one another, (rows, columns), called to multiply states: a `llama.Product`."""

    def __init__(self, file: GgufFile, names: Sequence[str], team: Team) -> None:
        """Look the tensors `names` of equal width up; nothing of them is read yet.

        Raises:
            BadInput: a type is not one that is supported.
        """
        self._file, self._names, self._team = file, names, team
        self._parts: list[_Part] = []
        self.rows, self.columns = 0, file.tensors[names[0]].shape[1]
        for name in names:
            self._parts.append(_Part(self.rows, file.raw(name), supported_type(file, name)))
            self.rows += file.tensors[name].shape[0]
        self._kept: Floats | None = None

    def __call__(self, x: Floats) -> Floats:
        """The product (rows, t) with x (columns, t)."""
        y = np.empty((self.rows, x.shape[1]), np.float32)  # (rows, t)
        self._team.share(self.rows, lambda first, last: self._multiply(x, y, first, last))
        return y

    def keep(self) -> None:
        """Dequantise all of it, 4 bytes a value, and use that from now on."""
        if self._kept is None:
            kept = np.empty((self.rows, self.columns), np.float32)  # (rows, columns)
            self._team.share(self.rows, lambda first, last: self._dequantize(kept, first, last))
            self._kept = kept
            self.drop_pages()

    def drop_pages(self) -> None:
        """Let go of what was read of the file."""
        for name in self._names:
            self._file.drop_pages(name)

    def _multiply(self, x: Floats, y: Floats, first: int, last: int) -> None:
        """Rows `first` to `last` of the product."""
        if self._kept is not None:
            np.matmul(self._kept[first:last], x, out=y[first:last])
            return
        for start, raw, kind in self._tiles(first, last):
            tile = self._team.scratch(len(raw) * self.columns).reshape(len(raw), self.columns)
            with np.errstate(all="ignore"):  # a thread's own; a damaged scale shows in the result
                np.matmul(dequantize(raw, kind, tile), x, out=y[start : start + len(raw)])

    def _dequantize(self, out: Floats, first: int, last: int) -> None:
        for start, raw, kind in self._tiles(first, last):
            dequantize(raw, kind, out[start : start + len(raw)])

    def _tiles(self, first: int, last: int) -> Iterator[tuple[int, Bytes, str]]:
        """Rows `first` to `last` as stored, a tile at a time: first row, bytes (rows, bytes of a row), type."""
        step = max(1, TILE_VALUES // self.columns)
        for part in self._parts:
            behind = min(last, part.first + len(part.raw))
            for start in range(max(first, part.first), behind, step):
                stop = min(start + step, behind)
                yield start, part.raw[start - part.first : stop - part.first], part.type
