"""Pictures of people that a kit carries: pixels alone, and no more of them than are needed."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from edgefuse_runtimes.image import load_image
from edgefuse_runtimes.spec import TRUE_COLOUR, Bands

SHORT_SIDE = 256
"""Pixels: larger pictures are made smaller, since each device carries them."""


def bare_picture(path: Path, short_side: int = SHORT_SIDE, bands: Bands = TRUE_COLOUR) -> Image.Image:
    """A picture, turned upright, of which nothing but the pixels is taken over: no place, no time, no name.

    Args:
        path: to read.
        short_side: that the picture has at the most.
        bands: see `Preprocess.bands`.

    Raises:
        BadInput: it cannot be read.
    """
    picture = load_image(path, bands=bands)
    scale = min(1.0, short_side / min(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    bare = Image.new("RGB", picture.size)
    bare.paste(picture)
    return bare.resize(size, Image.Resampling.LANCZOS) if scale < 1 else bare
