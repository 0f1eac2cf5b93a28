"""Calibration pictures: what an image encoder is shown while its weights are rounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse.datasets.drawn import draw
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.spec import Preprocess

COUNT = 64
"""How many pictures are looked at; twice as many were not seen to help."""

LEAST = 16
FIRST_SEED = 3_000_000
"""Of the drawn ones; far from those of any example, test or golden sample."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder and the folders in it, by name.

    Raises:
        BadInput: there is no such folder, or it holds fewer than `LEAST` pictures.
    """
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}; name a folder of calibration pictures.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(found) < LEAST:
        raise BadInput(f"{folder} holds {len(found)} pictures, and calibration needs {LEAST}; name a folder with more.")
    return found


def calibration_pictures(folder: Path | None, preprocess: Preprocess, count: int = COUNT) -> list[NDArray[np.float32]]:
    """Up to `count` pictures (1, 3, crop, crop), spread evenly over a folder; drawn ones where none is given.

    Raises:
        BadInput: the folder or a picture in it cannot be used.
    """
    if folder is None:
        return [prepare(draw(FIRST_SEED + index).image, preprocess)[None] for index in range(count)]
    found = find_pictures(folder)
    places = np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
    return [prepare(load_image(found[place]), preprocess)[None] for place in places]
