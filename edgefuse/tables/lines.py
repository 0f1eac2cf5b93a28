"""CSV files read line by line, however large, and numbers out of their cells."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgefuse.progress import Progress, silent
from edgefuse.tables.complaints import Complaints
from edgefuse_runtimes.errors import BadInput

if TYPE_CHECKING:
    from _csv import Reader

Floats = NDArray[np.float32]

LONGEST_CELL = 1 << 24
"""Characters; a list of 4096 numbers as text has 50 to 100 thousand. A quote that is never closed ends here."""

NOT_NUMBERS = "hold cells that are no numbers among their vectors"
NOT_FINITE = "hold NaN or infinite numbers"


Lines = Iterator[tuple[int, list[str]]]
"""Rows of a file, each with the number of its last line."""


@contextmanager
def open_lines(path: Path, progress: Progress = silent) -> Iterator[tuple[list[str], Lines]]:
    """The header of a CSV file, and its further rows; blank lines are left out.

    Raises:
        BadInput: while it is read: the file is missing, not UTF-8, no CSV, or names a column twice.
    """
    csv.field_size_limit(LONGEST_CELL)
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError as error:
        raise BadInput(f"There is no table at {path}; check the path.") from error
    except IsADirectoryError as error:
        raise BadInput(f"{path} is a folder and no table; name a file.") from error
    with file:
        lines = progress(f"reading {path.name}", file, path.stat().st_size, size=len)
        rows = _rows(path, csv.reader(lines, strict=True))
        _, first = next(rows, (0, []))
        header = [name.strip() for name in first]
        twice = _twice(header)
        if twice is not None:
            raise BadInput(f"{path} has the column {twice!r} more than once; rename or remove one.")
        yield header, rows


def _rows(path: Path, reader: Reader) -> Lines:
    """The rows with their lines' numbers; what is wrong with the file is told of this file, whoever reads another."""
    try:
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:
        raise BadInput(f"Line {reader.line_num} of {path} is not valid CSV ({error}); correct it.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 after line {reader.line_num}; save it as CSV in UTF-8.") from error


def header_of(path: Path) -> list[str]:
    """The first line's cells.

    Raises:
        BadInput: as `open_lines`.
    """
    with open_lines(path) as (header, _):
        return header


def vector(cells: Sequence[str], name: str, complaints: Complaints) -> Floats | None:
    """Numbers (d,) out of cells; None where they are none, which is complained of under the row's `name`."""
    text = "".join(cells)
    try:
        if "_" in text or not text.isascii():  # float() would take 1_000, and digits of any script
            raise ValueError
        values = np.fromiter(map(float, cells), np.float64, len(cells))  # (d,)
    except ValueError:
        complaints.add(NOT_NUMBERS, name)
        return None
    return finite(values, name, complaints)


def vector_of_list(text: str, name: str, complaints: Complaints) -> Floats | None:
    """Numbers (d,) out of a list written as text, which is read as JSON; None as in `vector`."""
    try:
        values = json.loads(text, parse_int=float)  # so that -0 keeps its sign
        if not isinstance(values, list) or not all(type(value) is float for value in values):
            raise ValueError
        numbers = np.array(values, np.float64)  # (d,)
    except (ValueError, RecursionError):
        complaints.add("hold no list of numbers as JSON", name)
        return None
    return finite(numbers, name, complaints)


def finite(values: NDArray[np.float64], name: str, complaints: Complaints) -> Floats | None:
    """The values (d,) as float32; None where one is NaN, infinite, or too large for it."""
    with np.errstate(over="ignore"):
        vector = values.astype(np.float32)  # (d,)
    if not np.isfinite(vector).all():
        complaints.add(NOT_FINITE, name)
        return None
    return vector


def _twice(header: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in header:
        if name in seen:
            return name
        seen.add(name)
    return None
