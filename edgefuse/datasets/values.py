"""Small steps that several data sets share: which file there is, and what a cell holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

BAND_YEARS = 20
OLDEST_BAND = 80


def first_file(root: Path, names: Sequence[str]) -> Path:
    """The first of the files that is in the folder; the last one where none is."""
    return next((root / name for name in names if (root / name).is_file()), root / names[-1])


def picture_in(folders: Sequence[Path], name: str) -> Path:
    """Where the picture `name` is; in the first folder that there is, where none has it."""
    there = [folder for folder in folders if folder.is_dir()] or folders[-1:]
    return next((folder / name for folder in there if (folder / name).is_file()), there[0] / name)


def number(cell: str) -> float | None:
    """The number that a cell holds, 0 or more; None if it is empty.

    Raises:
        ValueError: it holds something else, such as "nan".
    """
    if not cell:
        return None
    value = float(cell)
    if not 0 <= value < math.inf:
        raise ValueError(cell)
    return value


def age_band(years: float) -> str:
    """The band of an age: "0-19", "20-39", "40-59", "60-79" or "80+" years."""
    start = int(years // BAND_YEARS) * BAND_YEARS
    return f"{OLDEST_BAND}+" if start >= OLDEST_BAND else f"{start}-{start + BAND_YEARS - 1}"
